"""A stated growth equals its change."""

from expectations.families.rate import Rate


class Growth(Rate):
    """A growth that is stated is the change of its figure: on the year before (同比), or the period before (环比).

    ``growth = cases / last_year(cases) - 1``, ``growth = cases / previous(cases) - 1``. Claims and reports are
    compared as those of a rate are, with the rounding of all three figures: -3.67% for 7,979 after 8,283. Where
    there was nothing before, there is no growth to compare.
    """
