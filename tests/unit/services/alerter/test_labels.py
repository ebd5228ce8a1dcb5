import asyncio
import json
from datetime import timedelta

from services.alerter import labels
from services.alerter.store.database import Database
from services.alerter.store.incidents import Arrival
from tests.build import NOON, a_backlash, some_evidence
from uproar.backlash import Backlash, episode_id
from uproar.incident import Act, Verb
from uproar.subject import SubjectId


async def labelled(database: Database) -> list[dict]:
    lines: list[str] = []
    url = database.url.render_as_string(hide_password=False)
    count = await asyncio.to_thread(labels.write, url, lines.append)
    assert count == len(lines)
    return [json.loads(line) for line in lines]


async def test_verdicts_and_work_become_labels_and_the_rest_does_not(advancer, database):
    judged, worked, left = [
        (await advancer.hear(a_backlash(subject=subject), Arrival())).id for subject in "abc"
    ]
    verdict = Act(verb=Verb.FALSE_ALARM, by="Ada", note="un match de foot")
    await advancer.act(judged, Act(verb=Verb.ACKNOWLEDGE, by="Bo"))
    await advancer.act(judged, verdict)
    await advancer.act(worked, Act(verb=Verb.ACKNOWLEDGE, by="Bo"))

    written = await labelled(database)

    found = {label["incident"]: label for label in written}
    assert len(written) == 2
    assert set(found) == {judged, worked}
    assert left not in found
    assert found[judged] | {"verdict": "false_alarm", "reason": "un match de foot"} == found[judged]
    assert (found[judged]["by"], found[judged]["at"]) == ("Ada", NOON.isoformat())
    assert (found[worked]["verdict"], found[worked]["by"]) == ("handled", "Bo")
    assert found[judged]["evidence"] == ["push:1"]
    assert found[judged]["episode"] == a_backlash(subject="a").incident


async def test_each_wave_has_the_posts_that_it_cited_itself(advancer, database, clock):
    def wave(number: int, *posts: str, **given) -> Backlash:
        at = NOON + timedelta(days=number)
        evidence = tuple(some_evidence(post) for post in posts)
        episode = episode_id(SubjectId("air-quillon"), at)
        return a_backlash(incident=episode, at=at, evidence=evidence, **given)

    incident = (await advancer.hear(wave(0, "push:1", "push:2"), Arrival())).id
    clock.forward(hours=1)
    await advancer.act(incident, Act(verb=Verb.FALSE_ALARM, by="Ada", note="a match"))
    clock.forward(days=1)
    await advancer.hear(wave(1, "push:2", "push:3"), Arrival())
    clock.forward(hours=1)
    await advancer.act(incident, Act(verb=Verb.ACKNOWLEDGE, by="Bo"))

    found = {label["verdict"]: label["evidence"] for label in await labelled(database)}

    assert found == {"false_alarm": ["push:1", "push:2"], "handled": ["push:2", "push:3"]}
