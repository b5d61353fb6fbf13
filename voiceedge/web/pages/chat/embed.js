// One line in a shop's page opens our chat in a panel of it:
//   <script src="https://talk.example/chat/embed.js" async></script>
// data-channel, data-language and data-label of the line choose the chat, its language and the button's words.

(() => {
  const own = document.currentScript;
  const home = new URL(own.src).origin;
  const query = new URLSearchParams();
  if (own.dataset.channel) query.set("channel", own.dataset.channel);
  if (own.dataset.language) query.set("language", own.dataset.language);
  const korean = (own.dataset.language ?? navigator.language).startsWith("ko");
  const label = own.dataset.label ?? (korean ? "채팅 상담" : "Chat");

  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" }); // its styles and the shop's do not meet
  const style = new CSSStyleSheet();
  style.replaceSync(`
    button { position: fixed; right: 1rem; bottom: 1rem; z-index: 2147483000; min-height: 52px; padding: 0 1.3rem;
      border: 0; border-radius: 26px; background: #1f5fbf; color: #fff; font: 600 16px/1 system-ui, sans-serif;
      box-shadow: 0 6px 20px rgb(16 32 64 / 28%); cursor: pointer; }
    button:focus-visible { outline: 3px solid #fff; outline-offset: -6px; }
    iframe { position: fixed; right: 1rem; bottom: 5.2rem; z-index: 2147483000; border: 0; border-radius: 18px;
      width: min(400px, calc(100vw - 2rem)); height: min(660px, calc(100dvh - 7rem)); background: #f3f5f8;
      box-shadow: 0 12px 40px rgb(16 32 64 / 30%); }
    iframe[hidden] { display: none; }
    @media (max-width: 480px) { iframe { right: 0; bottom: 4.8rem; width: 100vw; height: calc(100dvh - 5.2rem); border-radius: 18px 18px 0 0; } }
    @media (prefers-color-scheme: dark) { iframe { background: #14181f; } }
  `);
  root.adoptedStyleSheets = [style];

  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.setAttribute("aria-expanded", "false");
  let frame = null;
  const close = () => {
    frame.hidden = true;
    button.setAttribute("aria-expanded", "false");
    button.textContent = label;
    button.focus();
  };
  button.addEventListener("click", () => {
    if (frame && !frame.hidden) { close(); return; }
    if (!frame) {
      frame = document.createElement("iframe");
      frame.title = label;
      frame.src = `${home}/chat?${query}`;
      root.prepend(frame);
    }
    frame.hidden = false;
    button.setAttribute("aria-expanded", "true");
    button.textContent = korean ? "닫기" : "Close";
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && frame && !frame.hidden) close(); });
  root.append(button);
  document.body.append(host);
})();
