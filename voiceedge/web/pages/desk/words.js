// What the desk says, in Korean and English.

const WORDS = {
  ko: {
    title: "VoiceEdge 상담",
    login: "로그인", agent: "상담원 이름", code: "코드", logout: "로그아웃",
    login_hint: "전화기에서 로그인할 때 누르는 숫자가 코드입니다.",
    wrong: "이름이나 코드가 맞지 않습니다.", locked: "여러 번 틀려 잠시 막혔습니다. {minutes}분 뒤에 다시 해 주세요.",
    code_too_short: "데스크에는 {digits}자리 이상의 코드가 필요합니다. 관리자에게 알려 주세요.",
    unreachable: "서버에 연결할 수 없습니다.", failed: "처리하지 못했습니다.", over: "근무 시간이 지나 로그아웃되었습니다.",
    store_away: "저장소에 잠시 연결할 수 없습니다. 다시 해 주세요.",
    my_desk: "내 데스크", floor: "관제", contacts: "내 상담", nobody: "지금은 상담이 없습니다.", ready_hint: "연결되면 여기에 나타나고, 등록된 전화가 울립니다.",
    break_hint: "휴식 중에는 상담이 오지 않습니다.", choose: "왼쪽에서 상담을 고르세요.",
    calls: "전화", chats: "채팅", longest: "최장", none: "없음",
    available: "상담 가능", break: "휴식", ringing: "벨 울림", talking: "통화 중", after_call: "후처리", logged_out: "로그아웃",
    then: "다음: {state}", reason: "사유", missed: "응답 없음", go_break: "휴식하기", go_available: "상담 가능",
    phone: "전화", "web-chat": "채팅", sms: "문자", email: "이메일", webhook: "메신저",
    offered: "채팅 요청", wrap_up: "마무리", chat_talking: "채팅 중",
    take: "받기", decline: "다른 상담원에게", answer_phone: "등록된 전화({phone})가 울립니다. 전화를 받으세요.",
    waited: "대기 {time}", why: "연결 사유", note_from: "{name}의 메모", unknown_customer: "알 수 없는 고객",
    transfer: "넘기기", channel: "다른 채널", note: "메모", wrap: "마무리",
    caller: "고객", voiceedge: "안내", me: "나", agent_speaker: "상담원",
    send: "보내기", message: "메시지", message_hint: "메시지를 쓰세요. Enter로 보내고 Shift+Enter로 줄을 바꿉니다.",
    answers: "자주 쓰는 답", chat_ended: "고객과의 채팅이 끝났습니다.",
    story: "대화", customer: "고객", slots: "확인된 내용", earlier: "이전 상담", journey: "지나온 단계", outside: "{name} 조회",
    reveal: "보기", revealed: "열람이 기록되었습니다.", number: "전화번호", identity_phone: "전화", identity_email: "이메일",
    identity_chat: "채팅 계정", identity_external: "고객 번호", verified: "확인됨",
    outside_missing: "조회에 필요한 값이 없습니다: {needs}", outside_none: "연결된 고객 시스템이 없습니다.", outside_error: "고객 시스템이 답하지 않습니다.",
    outside_not_found: "등록된 고객이 아닙니다.", outside_asking: "조회하는 중…", retry: "다시 조회",
    no_earlier: "이전 상담이 없습니다.", no_slots: "아직 확인된 내용이 없습니다.", no_customer: "아직 누구인지 확인되지 않았습니다.",
    back_to_current: "지금 상담으로", viewing_earlier: "이전 상담을 보고 있습니다.",
    transfer_to: "누구에게", transfer_kind: "보낼 곳", to_agent: "상담원", to_queue: "대기열", to_number: "번호", to_note: "다음 상담원에게 남길 말",
    to_number_hint: "예: 02-1234-5678", sent_on: "넘기는 중입니다.", chat_sent_on: "채팅을 넘겼습니다.",
    busy: "지금 넘기고 있거나 다른 상담원의 통화입니다.", agent_busy: "그 상담원은 통화 중입니다.", refused: "허용되지 않은 번호입니다.", no_call: "통화가 끝났습니다.",
    note_hint: "동료에게 남기는 메모입니다. 고객에게 보이지 않습니다.", save: "저장", cancel: "취소", saved: "저장했습니다.",
    outcome: "상담 결과", satisfaction: "고객 만족도", satisfaction_none: "묻지 않음", wrap_note: "상담 요약", close_chat: "채팅을 끝내고 마무리", finish: "마무리하기",
    finished: "마무리했습니다.", call_is_up: "통화를 먼저 끝내세요.", resolved: "해결", follow_up: "후속 조치", no_answer: "연결 안 됨",
    lunch: "식사", training: "교육", meeting: "회의",
    channel_to: "어디로", address: "번호나 주소", address_hint: "비우면 고객의 번호로 보냅니다.", make_link: "링크 만들기", link_ready: "한 번만 쓸 수 있는 링크입니다. 고객에게 알려 주세요.",
    pin_ready: "전화로 이어 갈 번호: {number} · 인증 번호 {pin}", copy: "복사", copied: "복사했습니다.", link_sent: "보냈습니다.", expires: "{time}까지",
    whisper_from: "{name}의 귓속말", close: "닫기", not_yours: "이 상담은 볼 수 없습니다.",
    shortcuts: "단축키", shortcut_select: "상담 고르기", shortcut_help: "단축키 보기", language: "English", theme: "밝게/어둡게",
    reconnecting: "연결이 끊겨 다시 연결하는 중입니다.", queues: "대기열", agents: "상담원", live: "진행 중", access: "열람 기록", show_access: "기록 보기", connectors: "연결 시스템",
    q_waiting: "전화 대기", q_longest: "최장 대기", q_talking: "통화 중", q_chatting: "채팅 중", q_level: "서비스 수준", q_handled: "전화 처리", q_chats_handled: "채팅 처리", q_abandoned: "전화 포기", q_agents: "상담원", q_chats: "채팅 대기",
    open: "열림", closed: "닫힘", state: "상태", present: "데스크", yes: "예", no: "아니요", handled: "전화 처리", occupancy: "점유율",
    listen: "듣기", whisper: "귓속말", whisper_hint: "{name}에게만 보입니다. 고객은 알 수 없습니다.", whispered: "전했습니다.", no_desk: "그 상담원은 데스크를 열지 않았습니다.",
    pick_live: "진행 중인 상담을 고르면 내용이 여기에 나타납니다.", at: "때", actor: "누가", action: "무엇을", subject: "대상",
    breaker_closed: "정상", breaker_open: "쉬는 중", breaker_half_open: "확인 중", asked: "조회", failed_count: "실패", p95: "p95", try_it: "시험 조회", try_hint: "시험 값을 넣어 조회합니다. 기록됩니다.",
    found: "찾음", not_found: "없음", error: "오류", waiting_state: "대기 중", continued: "{channel}에서 이어진 상담입니다 ({by}).",
    by_header: "헤더", by_number: "전용 번호", by_pin: "인증 번호", by_caller: "발신 번호", by_link: "링크", handed_over: "{channel} 상담으로 안내했습니다.", link_note: "이어 갈 링크를 보냈습니다 ({via}).", code_note: "전화로 이어 갈 번호를 안내했습니다.",
    link_failed: "이어 갈 링크를 보내지 못했습니다 ({via}).", note_by: "{name}의 메모", started: "{channel} 시작", ended: "{channel} 끝", tab_list: "상담", tab_story: "대화", tab_side: "고객",
    intent: "용건", unread: "안 읽은 메시지 {count}개", live_region: "대화 내용", typed: "입력", taken: "다른 상담원이 먼저 받았습니다.", too_long: "메시지가 너무 깁니다.",
    actor_agent: "{name} 님이", about_conversation: "상담", about_customer: "고객", about_all: "전체",
    did_read: "열람", did_revealed: "가린 값 보기 ({name})", did_logged_in: "로그인", did_logged_out: "로그아웃", did_login_refused: "로그인 실패", did_whispered_to: "{name}에게 귓속말",
    did_sent_on: "다른 채널 안내 {name}", did_tried_connector: "{name} 시험 조회", did_read_access_log: "열람 기록 보기", did_search: "검색", did_find: "찾기", did_read_call: "통화 열람",
    did_export: "내보내기", did_erase: "지우기", did_merge: "고객 합치기", did_split: "고객 나누기", did_import: "가져오기",
    past: "지금은 할 수 없습니다.", wait_now: "지금 대기", since_when: "경과",
  },
  en: {
    title: "VoiceEdge desk",
    login: "Log in", agent: "Name", code: "Code", logout: "Log out",
    login_hint: "Use the code by which you log in at your phone.",
    wrong: "The name or the code is wrong.", locked: "Too many wrong codes. Try again in {minutes} min.",
    code_too_short: "The desk needs a code of {digits} digits or more: tell your administrator.",
    unreachable: "The server cannot be reached.", failed: "That did not work.", over: "Your shift is over: you were logged out.",
    store_away: "The store is away for a moment: try again.",
    my_desk: "My desk", floor: "Floor", contacts: "My contacts", nobody: "No contacts at the moment.", ready_hint: "They appear here, and your registered phone rings.",
    break_hint: "Nobody is sent to you during a break.", choose: "Choose a contact on the left.",
    calls: "Calls", chats: "Chats", longest: "Longest", none: "none",
    available: "Available", break: "Break", ringing: "Ringing", talking: "On a call", after_call: "After-call", logged_out: "Logged out",
    then: "then: {state}", reason: "Reason", missed: "not answered", go_break: "Take a break", go_available: "Available",
    phone: "Phone", "web-chat": "Chat", sms: "Text", email: "E-mail", webhook: "Messenger",
    offered: "Chat request", wrap_up: "Wrap up", chat_talking: "Chatting",
    take: "Take", decline: "Pass on", answer_phone: "Your phone ({phone}) rings: answer there.",
    waited: "waited {time}", why: "Why", note_from: "Note from {name}", unknown_customer: "Unknown customer",
    transfer: "Transfer", channel: "Other channel", note: "Note", wrap: "Wrap up",
    caller: "Customer", voiceedge: "System", me: "Me", agent_speaker: "Agent",
    send: "Send", message: "Message", message_hint: "Write a message. Enter sends it, Shift+Enter is a new line.",
    answers: "Canned answers", chat_ended: "The chat is over.",
    story: "Conversation", customer: "Customer", slots: "Found out", earlier: "Earlier contacts", journey: "Journey", outside: "From {name}",
    reveal: "Show", revealed: "This was noted.", number: "Number", identity_phone: "Phone", identity_email: "E-mail",
    identity_chat: "Chat account", identity_external: "Customer no.", verified: "verified",
    outside_missing: "Not known, but needed: {needs}", outside_none: "No customer system is connected.", outside_error: "The customer system does not answer.",
    outside_not_found: "Not a known customer.", outside_asking: "Asking…", retry: "Ask again",
    no_earlier: "No earlier contacts.", no_slots: "Nothing yet.", no_customer: "Not known yet who this is.",
    back_to_current: "Back to the contact", viewing_earlier: "This is an earlier contact.",
    transfer_to: "To", transfer_kind: "To an agent, a queue, a number", to_agent: "Agent", to_queue: "Queue", to_number: "Number", to_note: "Note for whoever takes it",
    to_number_hint: "e.g. 02-1234-5678", sent_on: "Being sent on.", chat_sent_on: "The chat was sent on.",
    busy: "It is being sent on already, or another agent's.", agent_busy: "This agent is on a call.", refused: "This number is not allowed.", no_call: "The call is over.",
    note_hint: "For colleagues; customers do not see it.", save: "Save", cancel: "Cancel", saved: "Saved.",
    outcome: "Outcome", satisfaction: "Customer's satisfaction", satisfaction_none: "not asked", wrap_note: "Summary", close_chat: "End the chat and wrap up", finish: "Finish",
    finished: "Wrapped up.", call_is_up: "Hang up first.", resolved: "Resolved", follow_up: "Follow up", no_answer: "Not reached",
    lunch: "Lunch", training: "Training", meeting: "Meeting",
    channel_to: "Where to", address: "Number or address", address_hint: "Leave empty for the customer's own number.", make_link: "Make a link", link_ready: "A link that works once. Tell it to the customer.",
    pin_ready: "To go on by phone: {number} · code {pin}", copy: "Copy", copied: "Copied.", link_sent: "Sent.", expires: "until {time}",
    whisper_from: "{name} whispers", close: "Close", not_yours: "You may not open this.",
    shortcuts: "Shortcuts", shortcut_select: "Choose a contact", shortcut_help: "Show shortcuts", language: "한국어", theme: "Light/dark",
    reconnecting: "Connection lost: reconnecting.", queues: "Queues", agents: "Agents", live: "Live", access: "Access log", show_access: "Show entries", connectors: "Connectors",
    q_waiting: "Calls waiting", q_longest: "Longest wait", q_talking: "Talking", q_chatting: "Chatting", q_level: "Service level", q_handled: "Calls handled", q_chats_handled: "Chats handled", q_abandoned: "Calls abandoned", q_agents: "Agents", q_chats: "Chats waiting",
    open: "open", closed: "closed", state: "State", present: "Desk", yes: "yes", no: "no", handled: "Calls handled", occupancy: "Occupancy",
    listen: "Follow", whisper: "Whisper", whisper_hint: "Only {name} sees it.", whispered: "Told.", no_desk: "This agent has no desk open.",
    pick_live: "Choose a live contact to follow it here.", at: "When", actor: "Who", action: "What", subject: "Of",
    breaker_closed: "well", breaker_open: "left alone", breaker_half_open: "being tried", asked: "Asked", failed_count: "Failed", p95: "p95", try_it: "Try it", try_hint: "Ask with a test value. It is noted.",
    found: "found", not_found: "not found", error: "error", waiting_state: "waiting", continued: "Continued over {channel} ({by}).",
    by_header: "header", by_number: "own number", by_pin: "code", by_caller: "caller id", by_link: "link", handed_over: "Sent to {channel}.", link_note: "Link sent by {via}.", code_note: "Code for the phone given.",
    link_failed: "Link could not be sent by {via}.", note_by: "Note by {name}", started: "{channel} began", ended: "{channel} ended", tab_list: "Contacts", tab_story: "Talk", tab_side: "Customer",
    intent: "Wish", unread: "{count} unread", live_region: "Conversation", typed: "keyed", taken: "Somebody else was first.", too_long: "The message is too long.",
    actor_agent: "{name}", about_conversation: "contact", about_customer: "customer", about_all: "all",
    did_read: "opened", did_revealed: "showed {name}", did_logged_in: "logged in", did_logged_out: "logged out", did_login_refused: "login refused", did_whispered_to: "whispered to {name}",
    did_sent_on: "sent on {name}", did_tried_connector: "tried {name}", did_read_access_log: "read the access log", did_search: "searched", did_find: "found", did_read_call: "opened a call",
    did_export: "exported", did_erase: "erased", did_merge: "merged customers", did_split: "split customers", did_import: "imported",
    past: "Not possible now.", wait_now: "Waiting now", since_when: "For",
  },
};

let language = localStorage.getItem("desk.language") === "en" ? "en" : "ko";

export function current() {
  return language;
}

export function use(wanted) {
  language = wanted;
  localStorage.setItem("desk.language", wanted);
  document.documentElement.lang = wanted;
}

export function knows(key) {
  return key in WORDS[language];
}

/** The words for `key`, with {names} filled in; a key without words is shown as it is. */
export function t(key, values = {}) {
  const words = WORDS[language][key] ?? String(key);
  return words.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** A time of day, with the date where it is of another day. */
export function moment(iso, withDate = false) {
  const options = withDate
    ? { month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false }
    : { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
  return new Intl.DateTimeFormat(language === "ko" ? "ko-KR" : "en-GB", options).format(new Date(iso));
}

export function day(iso) {
  return new Intl.DateTimeFormat(language === "ko" ? "ko-KR" : "en-GB", { dateStyle: "medium" }).format(new Date(iso));
}
