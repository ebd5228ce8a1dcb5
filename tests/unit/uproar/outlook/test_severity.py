"""How bad a wave is."""

from uproar.outlook.severity import severity


def test_at_the_paging_threshold_a_handful_of_people_is_about_a_third():
    assert 30 <= severity(excess=4, statistic=4, threshold=4) <= 40


def test_a_crowd_of_thousands_far_beyond_the_threshold_is_a_hundred():
    assert severity(excess=20_000, statistic=50, threshold=4) == 100


def test_nothing_is_nothing():
    assert severity(excess=-3, statistic=0, threshold=4) == 0


def test_more_people_weigh_more_and_so_does_a_stranger_count():
    assert severity(excess=100, statistic=5, threshold=4) > severity(
        excess=10, statistic=5, threshold=4
    )
    assert severity(excess=10, statistic=7, threshold=4) > severity(
        excess=10, statistic=5, threshold=4
    )
