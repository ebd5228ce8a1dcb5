"""What stands around an agent of the classifier in a test."""

from services.classifier.follow import WatchList
from uproar.subject import Subject
from uproar.topics import SUBJECTS


def a_watch_list(*subjects: Subject) -> WatchList:
    """Build a watch list that has been read whole."""
    watch_list = WatchList()
    watch_list.follow([SUBJECTS.record(subject, key=subject.id) for subject in subjects])
    watch_list.listed.set()
    return watch_list
