"""What somebody with a screen reader, or a program that stands in for one, is told of a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path

from playwright.sync_api import BrowserContext, Locator, Page

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
CRITERIA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""WCAG 2.2 up to level AA, and what axe-core recommends beyond it."""

COLORS = ["color-contrast"]
"""The rule that another scheme of colours can break while everything else stays."""

_ENGLISH = re.compile(
    r"\b(?:the|and|of|with|must|this|your|you|from|have|are|which|that|nothing|cannot)\b",
    re.IGNORECASE,
)
_NOT_OURS = {"bdi", "code", "pre", "script", "style", "textarea"}
"""What people and programs wrote stands in these."""

_JUDGE = """
async (criteria) => {
  const options = { runOnly: criteria, resultTypes: ["violations"], preload: false };
  const { violations } = await axe.run(document, options);
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}
"""
_LISTEN = """
(() => {
  const heard = (window.__heard = []);
  const regions = new WeakSet();
  const isShown = (one) => one.checkVisibility({ visibilityProperty: true });
  const look = () => {
    for (const region of document.querySelectorAll('[role="status"], [role="alert"]')) {
      // An alert is read out when it appears; of the others only what changes in them is.
      if (isShown(region) || region.role === "alert") regions.add(region);
    }
  };
  const read = (node) => (node.nodeType === Node.TEXT_NODE ? node.parentElement : node);
  const changed = (records) => {
    const told = new Map();
    for (const { target, addedNodes } of records) {
      for (const node of [target, ...addedNodes]) {
        const region = read(node)?.closest?.('[role="status"], [role="alert"]');
        if (!region || !regions.has(region)) continue;
        const whole = region.ariaAtomic !== "false";
        const part = whole ? region : [...region.children].find((one) => one.contains(node));
        if (part && isShown(part)) told.set(part, part.innerText.replace(/\\s+/g, " ").trim());
      }
    }
    heard.push(...[...told.values()].filter((text) => text !== ""));
    look();
  };
  const attributeFilter = ["hidden"];
  new MutationObserver(changed).observe(document, {
    subtree: true, childList: true, characterData: true, attributes: true, attributeFilter,
  });
  document.addEventListener("DOMContentLoaded", look);
})();
"""


def faults(page: Page, criteria: Sequence[str] = CRITERIA) -> list[str]:
    """What axe-core finds wrong with the page as it is shown now, by its tags or names of rules."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE.read_text())
    found: list[str] = page.evaluate(_JUDGE, list(criteria))
    return found


def listen(context: BrowserContext) -> None:
    """Note what a screen reader says by itself on pages that are opened from now on: what changes
    in live regions that were there before (WAI-ARIA 1.2, ``aria-live``)."""
    context.add_init_script(_LISTEN)


def note_texts(one: Locator) -> Callable[[], list[str]]:
    """Every text that ``one`` gets from now on, also one that is gone before anybody looks."""
    one.evaluate(
        """(one) => {
          window.__texts = [];
          new MutationObserver(() => window.__texts.push(one.textContent.trim())).observe(one, {
            subtree: true, childList: true, characterData: true,
          });
        }"""
    )
    return lambda: list(one.page.evaluate("window.__texts"))


def heard(page: Page) -> list[str]:
    """What was said since the page was opened."""
    said: list[str] = page.evaluate("window.__heard")
    return said


class _Prose(HTMLParser):
    """The texts of a page that are ours to say."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._within: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _NOT_OURS:
            self._within.append(tag)
        told = {"alt", "aria-label", "data-label", "placeholder", "title"}
        self.texts += [value for name, value in attrs if name in told and value]

    def handle_endtag(self, tag: str) -> None:
        if tag in self._within:
            self._within.remove(tag)

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.texts.append(" ".join(data.split()))


def english(html: str, written_by_people: Sequence[str]) -> list[str]:
    """What a page says in English, but for what people wrote into it."""
    texts = (one for one in _Prose(html).texts if _ENGLISH.search(one))
    return [one for one in texts if not any(name in one for name in written_by_people)]
