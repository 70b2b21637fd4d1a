"""The stable views, in SQL that SQLite and PostgreSQL share. Columns: docs/records.md."""

from __future__ import annotations

_POINT = """point_id, config_id, seed, slug, variant, encoder, decoder, p, q, c, "L", "E",
    resolution, frames, pixels_per_channel, params_m, gflops"""

# The newest registration of each name is the sweep; older ones are history.
_CURRENT_SWEEPS = """
SELECT name AS sweep, registration, launch, uid, t, file
FROM (
    SELECT s.*, ROW_NUMBER() OVER (
        PARTITION BY name ORDER BY t DESC, uid DESC, registration DESC
    ) AS age
    FROM sweeps s
) newest
WHERE age = 1
"""

_SWEEP_MEMBERS = """
SELECT s.sweep, m.position, m.point_id
FROM current_sweeps s JOIN sweep_points m ON m.registration = s.registration
"""

_SWEEP_MEMBER_JOBS = """
SELECT s.sweep, m.position, m.point_id, m.job_id
FROM current_sweeps s JOIN sweep_jobs m ON m.registration = s.registration
"""

_POINTS = f"""
SELECT {_POINT}
FROM (
    SELECT m.*, ROW_NUMBER() OVER (
        PARTITION BY m.point_id ORDER BY s.t DESC, s.uid DESC, s.registration DESC, m.position
    ) AS age
    FROM current_sweeps s JOIN sweep_points m ON m.registration = s.registration
) newest
WHERE age = 1
"""

# Of several finished attempts the lowest counts; of equal results in it, the last one written.
_CANONICAL_RESULTS = """
SELECT job_id, attempt, name, protocol, value
FROM (
    SELECT r.*, ROW_NUMBER() OVER (
        PARTITION BY r.job_id, r.name, r.protocol ORDER BY r.at DESC
    ) AS age
    FROM results r JOIN (
        SELECT job_id, MIN(attempt) AS attempt
        FROM attempts WHERE outcome = 'finished' GROUP BY job_id
    ) first ON first.job_id = r.job_id AND first.attempt = r.attempt
) newest
WHERE age = 1
"""

# Stage of the tokenizer that was scored: of the job's own parents, since a point may score both.
# Length and E at evaluation: the point's own patch, stride and channels on the job's images.
_POINT_METRICS = """
SELECT m.point_id, m.job_id, m.kind, m.dataset, m.cfg_scale, m.stage, m.step, m.eval_length,
    m.eval_length * m.c AS "eval_E", r.name AS metric, r.protocol, r.value
FROM (
    SELECT p.point_id, p.c, j.job_id, j.kind, j.dataset, j.cfg_scale, trained.stage, j.step,
        CASE
            WHEN j.length IS NOT NULL THEN j.length
            WHEN j.resolution IS NULL OR (j.resolution = p.resolution
                AND COALESCE(j.frames, p.frames) = p.frames) THEN p."L"
            ELSE (j.resolution / NULLIF(p.p, 0)) * (j.resolution / NULLIF(p.p, 0))
                * (COALESCE(j.frames, p.frames) / NULLIF(p.q, 0))
        END AS eval_length
    FROM (SELECT DISTINCT point_id, job_id FROM sweep_member_jobs) pj
    JOIN points p ON p.point_id = pj.point_id
    JOIN jobs j ON j.job_id = pj.job_id
    LEFT JOIN (
        SELECT e.job_id,
            MAX(CASE t.kind WHEN 'finetune' THEN 2 WHEN 'tokenizer' THEN 1 END) AS stage
        FROM edges e JOIN jobs t ON t.job_id = e.parent_id
        GROUP BY e.job_id
    ) trained ON trained.job_id = pj.job_id
) m
JOIN canonical_results r ON r.job_id = m.job_id
"""

# Of a row m of metrics and its attempt a: no later attempt superseded it.
SHOWN = "(a.shown_to IS NULL OR m.step <= a.shown_to)"

# A line that stands in a journal twice counts once.
_CURVES = f"""
SELECT DISTINCT m.job_id, m.attempt, m.step, m.name AS metric, m.value
FROM metrics m JOIN attempts a ON a.job_id = m.job_id AND a.attempt = m.attempt
WHERE {SHOWN}
"""

# Other people's runs, under the name of their table: its newest import.
_EXTERNAL = f"""
SELECT i.name AS source, {_POINT}, m.kind, m.dataset, m.cfg_scale, m.metric, m.protocol, m.value
FROM (
    SELECT imports.*, ROW_NUMBER() OVER (
        PARTITION BY name ORDER BY t DESC, uid DESC, registration DESC
    ) AS age
    FROM imports
) i
JOIN imported m ON m.registration = i.registration
WHERE i.age = 1
"""

VIEWS: dict[str, str] = {  # each may lean on those above it
    "current_sweeps": _CURRENT_SWEEPS,
    "sweep_members": _SWEEP_MEMBERS,
    "sweep_member_jobs": _SWEEP_MEMBER_JOBS,
    "points": _POINTS,
    "canonical_results": _CANONICAL_RESULTS,
    "point_metrics": _POINT_METRICS,
    "curves": _CURVES,
    "external_metrics": _EXTERNAL,
}
EXPORTED = ("points", "point_metrics", "curves", "sweep_members")
