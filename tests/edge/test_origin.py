"""Where a call came from: our own headers only from the front, carriers' only where the plan trusts them."""

import pytest

from voiceedge.edge.call.origin import origin_of, wanted_headers
from voiceedge.switch.plan import AgentEntry, Plan, Trunk

CONFIGURED = ("User-to-User", "X-Customer-Ref")
HEADERS = {"User-to-User": "00", "X-Customer-Ref": "c", "X-VoiceEdge-Trunk": "carrier", "X-VoiceEdge-Agent": ""}
PLAN = Plan(
    trunks={
        "carrier": Trunk(addresses=("192.0.2.1",)),
        "own": Trunk(addresses=("192.0.2.2",), trusted=True),
    },
    agents={"kim": AgentEntry(phone="201")},
)


def origin(plan=PLAN, caller="15881234", sender="", **headers):
    sent = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
    return origin_of("1000", caller, sent, plan, CONFIGURED, sender)


def test_our_own_headers_are_read_only_behind_the_front_whatever_the_configuration_says():
    listed = (*CONFIGURED, "x-voiceedge-agent", "X-VoiceEdge-Trunk")
    assert wanted_headers(listed, behind_front=False) == (*CONFIGURED, "Privacy")
    assert wanted_headers(listed, behind_front=True) == (*CONFIGURED, "Privacy", "P-Asserted-Identity")


def test_a_trunk_is_believed_only_where_the_plan_says_so():
    assert origin().headers == {}
    assert origin(X_VoiceEdge_Trunk="own").headers == {"User-to-User": "00", "X-Customer-Ref": "c"}
    assert origin(X_VoiceEdge_Trunk="").headers == {}
    assert origin(Plan()).headers == {"User-to-User": "00", "X-Customer-Ref": "c"}


@pytest.mark.parametrize(
    "identity", ["<sip:01012345678@carrier>", '"Kim" <sip:01012345678@x>, <tel:+82101>', "tel:01012345678"]
)
def test_the_asserted_number_is_the_caller_of_a_trusted_trunk(identity):
    assert origin(X_VoiceEdge_Trunk="own", P_Asserted_Identity=identity).call.caller == "01012345678"
    assert origin(X_VoiceEdge_Trunk="carrier", P_Asserted_Identity=identity).call.caller == "15881234"


def test_a_caller_who_hides_the_number_stays_hidden():
    found = origin(X_VoiceEdge_Trunk="own", caller="anonymous", P_Asserted_Identity="<sip:01012345678@carrier>")
    assert found.call.caller == "anonymous"


@pytest.mark.parametrize(("privacy", "hidden"), [("id", True), ("critical; ID", True), ("none", False), ("", False)])
def test_a_caller_may_ask_that_the_number_be_shown_to_nobody(privacy, hidden):
    assert origin(Privacy=privacy).is_hidden is hidden


@pytest.mark.parametrize(
    ("sent", "hops"), [("69", 69), ("", None), ("x", None), ("-1", None), ("²", None), ("9999", None)]
)
def test_hops_are_a_number_or_nothing(sent, hops):
    assert origin(X_VoiceEdge_Hops=sent).hops == hops


def test_an_agents_phone_is_known_by_its_login_whatever_its_from_says():
    call = origin(X_VoiceEdge_Trunk="", X_VoiceEdge_Agent="kim", caller="01099998888").call
    assert (call.agent, call.caller) == ("kim", "201")


PASSED, FAILED = "TN-Validation-Passed", "TN-Validation-Failed"


@pytest.mark.parametrize(
    "identity",
    [
        f"<sip:+821012345678;verstat={PASSED}@carrier;user=phone>",
        f"<tel:+821012345678;verstat={PASSED.lower()}>",
        f"<sip:+821012345678%3Bverstat={PASSED}@carrier>",
    ],
)
def test_the_network_says_whether_a_number_is_the_callers(identity):
    assert origin(X_VoiceEdge_Trunk="own", P_Asserted_Identity=identity).attestation == "passed"
    assert origin(X_VoiceEdge_Trunk="own", sender=identity.strip("<>")).attestation == "passed"
    failed = identity.lower().replace("passed", "Failed")
    assert origin(X_VoiceEdge_Trunk="own", P_Asserted_Identity=failed, sender=identity).attestation == "failed"


def test_an_attestation_by_nobody_we_believe_is_none_but_a_bad_one_counts():
    identity = f"<sip:+821012345678;verstat={PASSED}@carrier>"
    assert origin(X_VoiceEdge_Trunk="carrier", P_Asserted_Identity=identity, sender=identity).attestation == "none"
    assert origin(X_VoiceEdge_Trunk="carrier", sender=identity.replace("Passed", "Failed")).attestation == "failed"
    assert origin(sender="sip:1;verstat=No-TN-Validation@x").attestation == "none"


@pytest.mark.parametrize(("trunk", "trusted"), [("own", True), ("carrier", False), ("", False)])
def test_a_call_of_a_believed_line_says_so_to_its_flow(trunk, trusted):
    facts = origin(X_VoiceEdge_Trunk=trunk).facts("call", "conversation", "1000")
    assert (facts.trusted, facts.trunk, facts.attestation) == (trusted, trunk, "none")
    assert not origin(X_VoiceEdge_Trunk="", X_VoiceEdge_Agent="kim").facts("call", "c", "1000").trusted
