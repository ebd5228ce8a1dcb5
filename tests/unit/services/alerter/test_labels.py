import asyncio
import json

from services.alerter import labels
from services.alerter.store.incidents import Arrival
from tests.build import NOON, a_backlash
from uproar.incident import Act, Verb


async def test_verdicts_and_work_become_labels_and_the_rest_does_not(advancer, database):
    judged, worked, left = [
        (await advancer.hear(a_backlash(subject=subject), Arrival())).id for subject in "abc"
    ]
    verdict = Act(verb=Verb.FALSE_ALARM, by="Ada", note="un match de foot")
    await advancer.act(judged, Act(verb=Verb.ACKNOWLEDGE, by="Bo"))
    await advancer.act(judged, verdict)
    await advancer.act(worked, Act(verb=Verb.ACKNOWLEDGE, by="Bo"))
    lines: list[str] = []

    url = database.url.render_as_string(hide_password=False)
    count = await asyncio.to_thread(labels.write, url, lines.append)

    found = {label["incident"]: label for label in map(json.loads, lines)}
    assert count == len(lines) == 2
    assert set(found) == {judged, worked}
    assert left not in found
    assert found[judged] | {"verdict": "false_alarm", "reason": "un match de foot"} == found[judged]
    assert (found[judged]["by"], found[judged]["at"]) == ("Ada", NOON.isoformat())
    assert (found[worked]["verdict"], found[worked]["by"]) == ("handled", "Bo")
    assert found[judged]["evidence"] == ["push:1"]
    assert found[judged]["episode"] == a_backlash(subject="a").incident
