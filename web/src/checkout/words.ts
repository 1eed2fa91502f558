/** The page's words in its language. The sentences stand here in English; a page in another
 * language carries their translations in a data block, which no browser runs. */

const said = sentences();

function sentences(): Record<string, string> {
  const block = document.getElementById("words");
  return block === null ? {} : (JSON.parse(block.textContent || "{}") as Record<string, string>);
}

/** `message` in the page's language, with `values` in the places `%(name)s`. */
export function gettext(message: string, values: Record<string, string> = {}): string {
  const text = said[message] ?? message;
  return text.replace(/%\((\w+)\)s/g, (_, name: string) => isolate(values[name] ?? ""));
}

/** Names and amounts keep their own direction between Arabic words (explicit isolates). */
export function isolate(text: string): string {
  return document.dir === "rtl" ? `\u2068${text}\u2069` : text;
}

/** What the server writes for this page comes in its language too. */
export function inLanguage(path: string): string {
  const tag = encodeURIComponent(document.documentElement.lang);
  return `${path}${path.includes("?") ? "&" : "?"}lang=${tag}`;
}
