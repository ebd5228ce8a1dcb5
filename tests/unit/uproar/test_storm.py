from tests.outbox import a_notice
from uproar.backlash import Level
from uproar.notice import Language
from uproar.notice.storm import storm


def test_a_storm_names_the_worst_first_and_says_how_many_there_are():
    notices = [a_notice(subject_name=f"Brand {n}", severity=n) for n in range(10)]
    notices.append(a_notice(subject_name="The worst", level=Level.CRISIS, severity=1))
    said = storm(notices)
    assert said.title == "11 backlashes at once: The worst, Brand 9, Brand 8 and 8 more"
    assert [one.subject_name for one in said.worst[:2]] == ["The worst", "Brand 9"]
    assert len(said.worst) == 11


def test_a_storm_is_told_in_the_language_of_its_reader():
    notices = [a_notice(subject_name=name, language=Language.FR) for name in ("A", "B")]
    assert storm(notices).title == "2 bad buzz à la fois\u00a0: A, B"
