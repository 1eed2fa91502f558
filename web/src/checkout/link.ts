/** The page of a link: shows at once what another quantity comes to. The server counts; without
 * this script the same buttons send the form there and show its answer as a page. */

const form = document.querySelector<HTMLFormElement>("#link");
let asked: XMLHttpRequest | null = null;

/** Put the server's sums beside what the payer has chosen, and nothing else of its answer. */
function take(answer: Document): void {
  for (const place of document.querySelectorAll("[data-live]")) {
    const fresh = answer.getElementById(place.id);
    if (fresh && fresh.textContent !== place.textContent) {
      place.replaceChildren(...fresh.childNodes);
    }
  }
}

function count(address: string): void {
  asked?.abort();
  const request = new XMLHttpRequest();
  asked = request;
  request.open("POST", address);
  request.responseType = "document";
  request.onload = () => {
    if (request.status === 200 && request.responseXML) take(request.responseXML);
  };
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form as HTMLFormElement)) {
    if (typeof value === "string") fields.append(name, value);
  }
  request.send(fields);
}

/** What a quantity's buttons say of its bounds. */
function mark(input: HTMLInputElement): void {
  const [fewer, more] = input.parentElement?.querySelectorAll("button") ?? [];
  fewer?.setAttribute("aria-disabled", String(Number(input.value) <= Number(input.min)));
  more?.setAttribute("aria-disabled", String(Number(input.value) >= Number(input.max)));
}

if (form) {
  const address = document.querySelector<HTMLButtonElement>(".step")?.formAction ?? "";
  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!(button instanceof HTMLButtonElement) || !button.classList.contains("step")) return;
    event.preventDefault();
    const input = button.parentElement?.querySelector("input");
    if (!input) return;
    if (button.name === "more") input.stepUp();
    else input.stepDown();
    mark(input);
    count(address);
  });
  for (const input of document.querySelectorAll<HTMLInputElement>(".quantity input")) {
    input.addEventListener("input", () => {
      mark(input);
      if (input.checkValidity()) count(address);
    });
  }
}
