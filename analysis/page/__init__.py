"""The report page: one HTML file with everything in it, and nothing that reaches for the network.

    from analysis.page import write_page

    write_page(analysis.load("results"), Path("reports"))  # reports/report.html

With a `Ledger` (what the index knows of jobs, attempts and artifacts) it also has states, pictures,
provenance and cost. The template's JavaScript is hand-written, without a framework; every number
and name that comes from the results is escaped, and the page's own policy lets no other script run.
"""

from analysis.page.render import Page, write_page

__all__ = ["Page", "write_page"]
