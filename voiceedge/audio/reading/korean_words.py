"""Words that Korean readings need: names of letters, everyday foreign words, units and counters."""

# ruff: noqa: SIM905 - lists of words are read as words

LETTERS = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        """
        에이 비 씨 디 이 에프 지 에이치 아이 제이 케이 엘 엠 엔 오 피 큐 알 에스 티 유 브이 더블유 엑스 와이 제트
        """.split(),
        strict=True,
    )
)

FOREIGN = dict(
    entry.split("=")
    for entry in """
    android=안드로이드 app=앱 basic=베이직 black=블랙 call=콜 care=케어 center=센터 chat=채팅 com=닷컴 coupon=쿠폰
    delivery=딜리버리 email=이메일 e-mail=이메일 event=이벤트 facebook=페이스북 family=패밀리 free=프리 galaxy=갤럭시
    gold=골드 google=구글 hello=헬로 help=헬프 home=홈 homepage=홈페이지 instagram=인스타그램 internet=인터넷
    iphone=아이폰 kakao=카카오 kakaotalk=카카오톡 link=링크 live=라이브 mall=몰 mart=마트 member=멤버
    membership=멤버십 mobile=모바일 naver=네이버 new=뉴 no=노 off=오프 ok=오케이 on=온 online=온라인 pass=패스
    pay=페이 pin=핀 plus=플러스 point=포인트 premium=프리미엄 pro=프로 sale=세일 samsung=삼성 service=서비스
    shop=샵 silver=실버 site=사이트 smart=스마트 special=스페셜 standard=스탠다드 store=스토어 talk=톡 text=텍스트
    tv=티브이 voice=보이스 voiceedge=보이스에지 web=웹 wifi=와이파이 wi-fi=와이파이 youtube=유튜브
    """.split()
)

UNITS = dict(
    entry.split("=")
    for entry in """
    %=퍼센트 °C=도 km=킬로미터 cm=센티미터 mm=밀리미터 m=미터 kg=킬로그램 g=그램 ml=밀리리터 mL=밀리리터 L=리터 l=리터
    GB=기가바이트 MB=메가바이트 TB=테라바이트 kcal=킬로칼로리 kW=킬로와트
    """.split()
)

# Counters of native numbers (한 개), up to 99; the last three only up to the number given.
NATIVE_COUNTERS = {
    **dict.fromkeys("번째 군데 가지 상자 박스 세트 켤레 마리 송이 사람 봉지 묶음 그루".split(), 99),
    **dict.fromkeys("개 명 살 대 권 잔 병 장 벌 곳 통 줄 칸 달 팩 캔 배".split(), 99),
    "시간": 19,
    "건": 19,
    "시": 12,
}
# Counters of Sino-Korean numbers (삼 층). A longer one wins: 개월, not 개.
SINO_COUNTERS = """
    개월 개국 주일 주년 년도 페이지 퍼센트 포인트 달러 회차 호선 단계
    년 월 일 분 초 번 층 호 동 회 차 인 세 점 위 등 주 박 도 원 매 종 화 기
    """.split()
WEEKDAYS = "월화수목금토일"
