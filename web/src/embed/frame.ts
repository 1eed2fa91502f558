/** The payer's page inside a merchant's frame: says what happens to the sites that the merchant
 * listed, and to no other; it takes no messages at all. */

const listed = document.querySelector<HTMLMetaElement>('meta[name="frame-origins"]');
const origins = listed?.content ?? "";
const page = document.getElementById("pay");

function say(type: string, url = ""): void {
  const session = page?.dataset["session"] ?? "";
  const said = { gstable: 1, type, session, url };
  // Delivered by the browser only where the frame's parent is of that very origin.
  for (const origin of origins.split(" ")) parent.postMessage(said, origin);
}

function sayPaid(): void {
  if (page?.dataset["phase"] === "done") say("paid");
}

if (parent !== window && origins !== "") {
  say("ready");
  sayPaid();
  if (page !== null) {
    new MutationObserver(sayPaid).observe(page, { attributeFilter: ["data-phase"] });
  }
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented) say("close");
  });
  // The way to the shop, and into wallet apps, is for the whole window.
  document.addEventListener("leave", (event) => {
    event.preventDefault();
    say("leave", String((event as CustomEvent).detail));
  });
  document.addEventListener(
    "click",
    (event) => {
      const link = (event.target as Element | null)?.closest("a");
      // Help and terms have a window of their own, which leaves the payment where it is.
      if (link && link.target !== "_blank" && link.origin !== location.origin) link.target = "_top";
    },
    { capture: true },
  );
}
