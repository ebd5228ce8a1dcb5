"""What a notice says in French."""

from typing import Final

from uproar.backlash import Level
from uproar.incident import Happening, State
from uproar.notice.facts import Facts, Trial, span

_OPENING: Final = {
    Level.WATCH: "À surveiller, {}",
    Level.ALERT: "Bad buzz contre {}",
    Level.CRISIS: "Crise pour {}",
}
_LEVEL: Final = {Level.WATCH: "à surveiller", Level.ALERT: "alerte", Level.CRISIS: "crise"}
_NARROW: Final = "\u202f"  # before ; ! ? and between thousands; the colon takes a full one
_COLON: Final = "\u00a0:"

# Ce que font les gens et les minuteries, outre prendre en charge et clore.
_DID: Final = {
    Happening.REOPEN: "Rouvert par {}",
    Happening.SNOOZE: "Mis en veille par {}",
    Happening.ASSIGN: "Attribué par {}",
    Happening.NOTE: "Note de {}",
    Happening.RATE: "Gravité jugée par {}",
    Happening.FALSE_ALARM: "Fausse alerte selon {}",
    Happening.MERGE: "Fusionné dans un autre incident par {}",
    Happening.ABSORB: "Un autre incident y a été fusionné par {}",
    Happening.UNMERGE: "Retiré d’un autre incident par {}",
    Happening.RELEASE: "Un autre incident en a été retiré par {}",
    Happening.SPLIT: "Scindé par {}",
    Happening.WAKE: "La veille est finie",
    Happening.UNSILENCE: "Le silence est fini",
}

TRIAL: Final = Trial(
    title="Essai d’uproar\u00a0: ce destinataire fonctionne",
    why_now="Quelqu’un l’a fait essayer. Il ne s’est rien passé.",
)


def title(facts: Facts) -> str:
    """What happened, in one line."""
    opening = _OPENING[facts.incident.level].format(facts.name)
    match facts.what:
        case Happening.ACKNOWLEDGE:
            said = f"{facts.by} s’en charge{_COLON} {_lower(opening)}"
        case Happening.RESOLVE:
            said = f"Clos par {facts.by}{_COLON} {_lower(opening)}"
        case Happening.SUBSIDED:
            said = f"{opening}{_COLON} ça se calme"
        case Happening.ENDED:
            said = f"{opening}{_COLON} terminé après {span(facts.lasted, day='j')}"
        case Happening.GREW if not facts.begins:
            said = f"{opening}, ça enfle{_COLON} {_window(facts)}"
        case Happening.ROSE if not facts.begins:
            said = f"Aggravation. {opening}{_COLON} {_window(facts)}"
        case Happening.RETURNED:
            said = f"Ça repart. {opening}{_COLON} {_window(facts)}"
        case what if what in _DID:
            said = f"{_did(facts)}{_COLON} {_lower(opening)}"
        case _:
            said = f"{opening}{_COLON} {_window(facts)}"
    late = f"détecté avec {span(facts.late, day='j')} de retard" if facts.late else ""
    return f"{said}{_NARROW}; {late}" if late else said


def headline(facts: Facts) -> str:
    """What the incident is, whatever happened last."""
    incident = facts.incident
    opening = _OPENING[incident.level].format(facts.name)
    people = f"{_complainers(incident.authors)}, détecté à {facts.when(incident.opened_at)}"
    if facts.closed:
        return f"Terminé{_COLON} {_lower(opening)}. {people}"
    return f"{opening}{_COLON} {people}"


def why_now(facts: Facts) -> str:
    """Why the detector speaks; not again what the title of a growing wave says."""
    said = []
    if not facts.growing:
        said.append(f"{_window(facts)}.")
    elif facts.times:
        said.append(f"C’est {facts.times} fois plus que d’ordinaire.")
    if facts.shares:
        now, usual = facts.shares
        said.append(
            f"{now}{_NARROW}% des messages sont négatifs, contre {usual}{_NARROW}% d’ordinaire."
        )
    if unscored := facts.incident.why.unscored:
        verb = "n’a pas pu être évalué" if unscored == 1 else "n’ont pas pu être évalués"
        said.append(f"{_posts(unscored)} {verb}.")
    return " ".join(said)


def how_big(facts: Facts) -> str:
    """Posts, people, severity."""
    incident = facts.incident
    level = f"niveau {_LEVEL[incident.level]}"
    if facts.closed:
        return (
            f"{_posts(incident.posts)} en tout, {_complainers(incident.authors)}. "
            f"Au plus fort{_COLON} gravité {incident.peak_severity} sur 100, {level}."
        )
    return (
        f"{_posts(incident.posts)} jusqu’ici, {_complainers(incident.authors)}. "
        f"Gravité {incident.severity} sur 100, {level}."
    )


def changed(facts: Facts) -> str:
    """What is new since the transition before; empty for the first."""
    at = facts.when(facts.at)
    note = f" «\u00a0{facts.note}\u00a0»" if facts.note else ""
    match facts.what:
        case Happening.ACKNOWLEDGE:
            return f"{facts.by} s’en charge depuis {at}.{note}"
        case Happening.RESOLVE:
            return f"Clos par {facts.by} à {at}.{note}"
        case Happening.ENDED:
            return "Les plaintes sont revenues à leur niveau habituel."
        case Happening.RETURNED:
            return "C’était terminé, et une nouvelle vague commence."
        case what if what in _DID:
            return f"{_did(facts)}, {at}.{note}"
    again = "L’incident était clos et repart. " if facts.reopened else ""
    return (again + _moved(facts)).strip()


def standing(facts: Facts) -> str:
    """Who is on it."""
    match facts.incident.state:
        case State.OPEN:
            return "Personne ne s’en charge encore."
        case State.ACKNOWLEDGED:
            return f"{facts.taken_by} s’en charge."
        case State.SNOOZED:
            until = facts.incident.snoozed_until
            return f"En veille jusqu’à {facts.when(until)}." if until else "En pause."
        case State.RESOLVED:
            return f"Clos par {facts.closed_by}." if facts.closed_by else "C’est terminé."


def advice(facts: Facts) -> str:
    """How to answer well."""
    if facts.incident.state is State.RESOLVED:
        return (
            "Dites à ceux qui se sont plaints ce qui a changé, "
            "et notez ce que vous feriez plus tôt."
        )
    if facts.what is Happening.SUBSIDED:
        return "Tenez vos promesses et dites ce qui a été fait. Ne supprimez pas les critiques."
    return (
        "Répondez franchement\u00a0: ce que vous savez, ce que vous faites, quand vous reviendrez. "
        "Ne supprimez pas les critiques."
    )


def _did(facts: Facts) -> str:
    whose = f" à {facts.assignee}" if facts.what is Happening.ASSIGN and facts.assignee else ""
    return _DID[facts.what].format(facts.by) + whose


def _window(facts: Facts) -> str:
    usual = str(facts.usual) if facts.usual else "moins d’une"
    verb = "se plaint" if facts.complaining == 1 else "se plaignent"
    return (
        f"{_people(facts.complaining)} {verb} en {span(facts.window, day='j')}, "
        f"contre {usual} d’ordinaire"
    )


def _moved(facts: Facts) -> str:
    was, now = facts.was, facts.incident
    if was is None:
        return ""
    pairs = (
        ("messages", _number(was.posts), _number(now.posts)),
        ("mécontents", _number(was.authors), _number(now.authors)),
        ("gravité", str(was.severity), str(now.severity)),
        ("niveau", _LEVEL[was.level], _LEVEL[now.level]),
    )
    moves = [f"{name} {before} → {after}" for name, before, after in pairs if before != after]
    return f"{', '.join(moves).capitalize()}." if moves else ""


def _posts(number: int) -> str:
    return f"{_number(number)} {'message' if number < 2 else 'messages'}"


def _people(number: int) -> str:
    return f"{_number(number)} {'personne' if number < 2 else 'personnes'}"


def _complainers(number: int) -> str:
    return f"{_number(number)} {'mécontent' if number < 2 else 'mécontents'}"


def _number(number: int) -> str:
    return f"{number:,}".replace(",", _NARROW)


def _lower(opening: str) -> str:
    return opening[0].lower() + opening[1:]
