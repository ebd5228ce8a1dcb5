"""
Judge: posts in, what the model says of each towards each of its subjects out. Not what follows.

Here alone it is decided what the model reads, for the score agent, the back-test, `uproar classify`
and the benchmarks: so they agree, bit for bit.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from services.classifier.engine.mention import mark
from uproar.assessment import Scores
from uproar.match import literal_names
from uproar.post import Post
from uproar.subject import Subject, SubjectId

Marks = tuple[str, str] | None
"""What a model wants around a mention; None for one that was not taught to look for it."""
Verdicts = Mapping[SubjectId, Scores | None]
"""Of a post, towards each of its subjects; None where the model could not say."""


class Model(Protocol):
    """
    What has an answer to every text, if only that there is none.

    Attributes:
        name: Kept with every score.
        marks: See :data:`Marks`.
    """

    @property
    def name(self) -> str: ...
    @property
    def marks(self) -> Marks: ...

    def score(self, texts: Sequence[str]) -> list[Scores | None]:
        """Score texts, in their order; None for a text without a verdict."""
        ...


def model_input(text: str, *, title: str | None, names: Iterable[str], marks: Marks) -> str:
    """
    Say what the model reads: the title before the text, each mention of the subject marked.

    Args:
        text: Of a post, raw.
        title: Its headline.
        names: What the subject is called; none where it is not known.
        marks: Those of the model.
    """
    return mark(f"{title}. {text}" if title else text, names, marks)


def inputs(post: Post, watched: Mapping[SubjectId, Subject], marks: Marks) -> dict[SubjectId, str]:
    """
    Say what the model reads of a post for each subject that it is about.

    It is the same for those that the text does not name (found by a part of a hashtag, say), those
    that are not ``watched``, and for all of them if the model knows no marks.
    """
    subjects = dict.fromkeys(post.subjects)
    if marks is None:
        return dict.fromkeys(
            subjects, model_input(post.text, title=post.title, names=(), marks=None)
        )
    return {
        subject: model_input(
            post.text,
            title=post.title,
            names=literal_names(watched[subject]) if subject in watched else (),
            marks=marks,
        )
        for subject in subjects
    }


def judge(
    posts: Sequence[Post], watched: Mapping[SubjectId, Subject], model: Model
) -> list[Verdicts]:
    """
    Ask a model about posts: each is read once for each different text that its subjects give.

    Args:
        posts: A batch; the model is asked once, for at most as many texts as subjects are named.
        watched: Whom the names of a subject are taken from.
        model: Who is asked.

    Raises:
        Unavailable: The model cannot say which marks it wants.
    """
    if not posts:
        return []
    marks = model.marks
    wanted = [inputs(post, watched, marks) for post in posts]
    asked = [list(dict.fromkeys(each.values())) for each in wanted]
    said = iter(model.score([text for texts in asked for text in texts]))
    answers = [{text: next(said) for text in texts} for texts in asked]
    return [
        {subject: answer[text] for subject, text in each.items()}
        for each, answer in zip(wanted, answers, strict=True)
    ]
