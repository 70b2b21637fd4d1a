"""Points of the paper's Figures 2, 4, 5, 6 and 11 (ImageNet-1k, UCF-101), as drawn in its PDFs.

Read from the vector graphics of github.com/philippe-eecs/vitok (MIT); good to about 7 digits.
"""

from __future__ import annotations

import numpy as np

# Figure 2: p 32, 16, 8 by c 4, 8, 16, 32, 64 at 256p.
PATCH = np.repeat([32, 16, 8], 5)
CHANNELS = np.tile([4, 8, 16, 32, 64], 3)
E = (256 // PATCH) ** 2 * CHANNELS
RFID = np.array([
    44.814286, 24.852562, 11.47324, 5.75868, 2.4101743,
    9.3259756, 4.1330199, 1.584158, 0.87648573, 0.52843291,
    1.8242621, 0.87412098, 0.45517561, 0.078824733, 0.0086600932,
])  # fmt: skip
RPSNR = np.array([
    20.090981, 21.321329, 22.621336, 23.928213, 25.434599,
    22.820337, 24.288321, 26.117716, 28.116453, 30.548775,
    26.165369, 28.337715, 30.949604, 35.106682, 39.939747,
])  # fmt: skip
# Figure 4: 512p, c 16, p 32, 16, 8.
E_512P = np.array([4096, 16384, 65536])
RPSNR_512P = np.array([23.600197, 27.408844, 33.283607])
# Figure 5 at CFG 1.5: the same grid as Figure 2 without p 8, c 64.
E_GENERATION = E[:-1]
PATCH_GENERATION = PATCH[:-1]
GFID = np.array([
    41.695892, 22.12812, 13.786522, 12.480984, 14.474262,
    10.838024, 6.7708772, 6.1342765, 8.2036843, 15.000719,
    5.6334009, 5.9367416, 8.3142883, 15.331485,
])  # fmt: skip
GIS = np.array([
    32.551723, 64.929016, 92.331192, 95.550064, 81.830436,
    106.41834, 157.49922, 160.18491, 119.39193, 79.144707,
    178.6483, 169.34418, 125.9285, 76.585846,
])  # fmt: skip
# Figure 6: encoder-decoder S-S, B-S, S-B, B-B, S-L, B-L, L-L; millions of parameters (Table 1).
ENCODER = np.array([43.3, 85.8, 43.3, 85.8, 43.3, 85.8, 383.7])
DECODER = np.array([43.3, 43.3, 85.8, 85.8, 383.7, 383.7, 383.7])
RPSNR_SIZES = np.array([25.882048, 25.931595, 26.117716, 26.261711, 26.471272, 26.337669, 26.32209])
# Figure 11: rPSNR on UCF-101, 16 frames, c 16: p 32 q 1, 2, 4, 8; p 16 q 2, 4, 8; p 8 q 2, 4, 8.
E_VIDEO = np.array([16384, 8192, 4096, 2048, 32768, 16384, 8192, 131072, 65536, 32768])
RPSNR_VIDEO = np.array([
    26.642738, 23.040743, 21.206242, 19.756784, 29.90292,
    26.46619, 23.227108, 36.313316, 33.196583, 29.317135,
])  # fmt: skip
