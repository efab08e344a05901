"""Documents for the tests: a small complete one, to be changed line by line, and the three that are shipped."""

from pathlib import Path

from lti_tool.gates.publication import check_document
from lti_tool.programme.model import Programme
from lti_tool.programme.yaml_source import Problem

CONFIG = Path(__file__).parents[3] / "config"
SHIPPED = ("polaris-2024.yaml", "polaris-legacy.yaml", "demo.yaml")

SMALL = """\
format: 1
sources: {P: the programme's page}
programme:
  title: A training
  provider: Example Institute
  catalogue: current
  zone: America/Los_Angeles
contacts:
  training: {purpose: trainings, address: training@example.org}
sets:
  clinical: {licences: [LMFT, RN]}
  others: {modules: [B]}
completion: {share: 0.80}
scores: {single_line_item: completion, award_evidence: reconciled}
agendas:
  day:
    parts:
      - {from: "09:00", to: "12:00", title: Morning, instructional: true}
      - {from: "12:00", to: "13:00", title: Lunch, instructional: false}
      - {from: "13:00", to: "16:00", title: Afternoon, instructional: true}
lengths:
  day:
    title: Day
    starts: "09:00"
    ends: "16:00"
    agenda: day
    credits: {apa: 6}
series:
  all: {title: All modules, modules: [A, B]}
modules:
  A:
    number: 1
    title: The first
    certificate_title: The first
    objectives: [Know the first thing]
    length: day
    dates:
      - {id: A-1, printed: July 13, date: 2026-07-13, confidence: printed, takes_attendance: true}
      - {id: A-2, printed: September 30, date: 2026-09-30, confidence: printed}
  B:
    title: The second
    certificate_title: The second
    objectives: [Know the second thing]
    length: day
gates:
  first: {for: [A], mode: none, approved_by: head of training, source: P:1}
  second:
    for: [B]
    mode: required
    rule:
      any:
        - completed: {module: A}
        - equivalency: {for: A}
    approved_by: head of training
    source: P:2
  retreat:
    for: [R]
    mode: required
    rule:
      licence_active: {types: clinical, at: offering_start}
    approved_by: head of training
    source: P:3
equivalencies:
  A:
    contact: training
    providers:
      known: {name: Known Academy, decision: accepted, review: fast_track}
      not_known: {name: Another, decision: not_accepted, reason: not about this subject}
credit_bodies:
  apa:
    legal_name: American Psychological Association
    role: sponsor
    jurisdiction: any
    policy:
      minutes_per_credit: 60
      credit_step: 0.25
      late_arrival_minutes: 15
      max_missed_total_minutes: 15
      max_missed_consecutive_minutes: 15
      reconnect_gap_seconds: 0
      evaluation_required: false
      fee_required: false
document_matrix:
  - {licences: [psychologist], jurisdiction: any, body: apa, document: ce_certificate, notice: null, decided: true}
retreats:
  R:
    title: A retreat
    stated_days: 5
    publish: true
    audience: [therapist]
    licence_types: clinical
    screening_steps: [medical]
    attestation_required: true
    capacity: 12
    contact: training
    retention_days: 90
    dates:
      - {printed: October 3-7, starts_on: 2026-10-03, ends_on: 2026-10-07, place: Portland, confidence: printed}
"""


def changed(old: str, new: str, document: str = SMALL) -> str:
    """The document with one place changed."""
    assert document.count(old) == 1, f"{old!r} stands {document.count(old)} times"
    return document.replace(old, new)


def shipped(name: str) -> str:
    return (CONFIG / name).read_text(encoding="utf-8")


def problems(document: str | bytes) -> dict[str, Problem]:
    """What is found, by code."""
    return {each.code: each for each in check_document(document, "small.yaml").problems}


def programme(document: str = SMALL) -> Programme:
    checked = check_document(document, "small.yaml")
    assert checked.programme is not None, [str(each) for each in checked.errors]
    return checked.programme
