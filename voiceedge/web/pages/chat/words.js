// What the page says of its own, in the visitor's language. The words of the chat itself come from the service.

const WORDS = {
  ko: {
    title: "채팅 상담", bot: "자동 상담", waiting: "상담원을 기다리는 중", agent: "{agent} 상담원", call: "통화 중",
    ended: "종료된 상담", phone: "전화로 계속하기", leave: "종료", close: "닫기", send: "보내기",
    your_message: "메시지", placeholder: "메시지를 입력하세요", placeholder_number: "숫자를 입력하세요",
    placeholder_call: "통화에 전달할 내용을 입력하세요",
    start_title: "무엇을 도와드릴까요?", start_text: "문의 내용을 남겨 주시면 바로 안내해 드립니다. 필요하면 상담원이나 전화로 이어집니다.",
    begin: "상담 시작하기", link_title: "상담을 이어서 진행합니다",
    link_text: "통화에서 말씀하신 내용이 그대로 전달되어 있습니다. 다시 설명하지 않으셔도 됩니다.", begin_link: "이어서 상담하기",
    privacy: "상담 품질을 위해 대화 내용이 저장됩니다. 카드 번호와 주민등록번호는 저장하지 않습니다.",
    link_used: "이미 사용한 링크입니다", link_used_text: "링크는 안전을 위해 한 번만 열 수 있습니다. 이 기기에서 연 상담이 있으면 이어서 보실 수 있습니다.",
    link_expired: "기간이 지난 링크입니다", link_expired_text: "안내해 드린 시간이 지나 링크를 열 수 없습니다. 새로 상담을 시작하시거나 다시 전화해 주세요.",
    link_unknown: "열 수 없는 링크입니다", link_unknown_text: "주소가 끝까지 복사되었는지 확인해 주세요. 새로 상담을 시작하실 수도 있습니다.",
    begin_new: "새 상담 시작하기", back_to: "열려 있는 상담 보기",
    story: "앞서 나눈 이야기", by_phone: "전화", by_chat: "채팅", now: "지금부터 이어지는 상담",
    said_customer: "나", said_voiceedge: "자동 상담", said_agent: "상담원", said_note: "안내", said_call: "전화 안내",
    choices: "선택지", digits_one: "숫자 {from}자리로 입력해 주세요.", digits: "숫자 {from}자리에서 {to}자리까지 입력해 주세요.",
    writing: "답변을 준비하고 있습니다",
    lost: "연결이 끊겼습니다. 다시 연결하고 있습니다…", not_sent: "보내지 못했습니다. 다시 눌러 주세요.",
    too_fast: "조금만 천천히 보내 주세요. 잠시 후 다시 보내실 수 있습니다.", too_long: "메시지는 2,000자까지 보내실 수 있습니다.",
    too_many: "지금은 상담을 열 수 없습니다. 잠시 후 다시 시도해 주세요.", away: "지금은 연결할 수 없습니다. 잠시 후 다시 시도해 주세요.",
    over: "상담은 만족스러우셨나요?", star: "{count}점", thanks: "평가해 주셔서 감사합니다.", again: "새 상담 시작하기",
    leave_sure: "상담을 종료할까요?", leave_yes: "종료하기", stay: "계속하기",
    phone_text: "지금까지의 내용은 그대로 이어집니다. 다시 설명하지 않으셔도 됩니다.",
    your_number: "전화받으실 번호", call_me: "전화 요청", call_with_code: "직접 전화하고 번호로 이어 가기",
    call_number: "전화번호", pin: "확인 번호", until: "유효 시간", until_time: "{time}까지",
    pin_text: "전화를 거신 뒤 안내에 따라 확인 번호를 눌러 주세요.", number_text: "이 번호로 전화하시면 바로 이어집니다.",
    calling: "곧 전화드리겠습니다.", bad_number: "이 번호로는 전화드릴 수 없습니다. 번호를 확인해 주세요.",
    enough_calls: "요청이 많아 지금은 더 받을 수 없습니다.",
  },
  en: {
    title: "Chat", bot: "Automatic assistant", waiting: "Waiting for an agent", agent: "{agent}", call: "On a call",
    ended: "Chat ended", phone: "Continue by phone", leave: "End", close: "Close", send: "Send",
    your_message: "Message", placeholder: "Type a message", placeholder_number: "Type the number",
    placeholder_call: "Type here for your call",
    start_title: "How can we help?", start_text: "Tell us what it is about and we answer at once. An agent or a call can take over whenever you need one.",
    begin: "Start chat", link_title: "Your enquiry goes on here",
    link_text: "What you said on the phone is here already. You need not explain it again.", begin_link: "Continue",
    privacy: "The conversation is stored so that we can help you better. Card and identity numbers are not.",
    link_used: "This link has been used", link_used_text: "For your safety a link opens once only. If you opened a chat on this device, you can go back to it.",
    link_expired: "This link has expired", link_expired_text: "Its time is over. Start a new chat, or call us again.",
    link_unknown: "This link does not work", link_unknown_text: "Please check that the address is complete. You can also start a new chat.",
    begin_new: "Start a new chat", back_to: "Go to the open chat",
    story: "What was said before", by_phone: "phone", by_chat: "chat", now: "The chat from here on",
    said_customer: "You", said_voiceedge: "Assistant", said_agent: "Agent", said_note: "Note", said_call: "On the phone",
    choices: "Choices", digits_one: "Enter {from} digits.", digits: "Enter {from} to {to} digits.",
    writing: "An answer is being prepared",
    lost: "The connection is lost. Reconnecting…", not_sent: "It could not be sent. Please try again.",
    too_fast: "A little slower, please. You can go on in a moment.", too_long: "A message can have up to 2,000 characters.",
    too_many: "No chat can be opened at the moment. Please try again a little later.", away: "We cannot be reached at the moment. Please try again a little later.",
    over: "Were you content with this chat?", star: "{count} of 5", thanks: "Thank you for telling us.", again: "Start a new chat",
    leave_sure: "End this chat?", leave_yes: "End it", stay: "Keep going",
    phone_text: "Nothing you have told us is lost. You need not explain it again.",
    your_number: "Your telephone number", call_me: "Call me", call_with_code: "I will call, with a code",
    call_number: "Number", pin: "Code", until: "Valid", until_time: "until {time}",
    pin_text: "Call us and key in the code when you are asked for it.", number_text: "Call this number and we go on at once.",
    calling: "We will call you in a moment.", bad_number: "We cannot call this number. Please check it.",
    enough_calls: "There have been too many requests for now.",
  },
};

let language = "ko";

export function speak(wanted) {
  language = String(wanted).toLowerCase().startsWith("ko") ? "ko" : "en";
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-word]")) {
    element.textContent = word(element.dataset.word);
  }
}

export function spoken() {
  return language;
}

export function word(name, values = {}) {
  return WORDS[language][name].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

export function time(when) {
  return new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" }).format(new Date(when));
}
