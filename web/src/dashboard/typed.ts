/** Nothing that was typed is lost by leaving the page unasked. */

type Field = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

let isSending = false;

function isChanged(field: Field): boolean {
  if (field instanceof HTMLSelectElement) {
    const own = [...field.options].findIndex((option) => option.defaultSelected);
    return field.selectedIndex !== Math.max(own, 0);
  }
  if (field instanceof HTMLInputElement) {
    if (field.type === "hidden") return false;
    if (field.type === "file") return field.value !== "";
    if (field.type === "radio" || field.type === "checkbox") {
      return field.checked !== field.defaultChecked;
    }
  }
  return field.value !== field.defaultValue;
}

/** Whether a form has something that is sent nowhere yet. */
export function hasTyped(): boolean {
  const forms = document.querySelectorAll<HTMLFormElement>("form[method=post]");
  return [...forms].some(
    (form) =>
      form.dataset["unguarded"] === undefined &&
      [...form.elements].some(
        (one) => one.matches("input, textarea, select") && isChanged(one as Field),
      ),
  );
}

export function guardForms(): void {
  document.addEventListener("submit", () => {
    isSending = true;
  });
  window.addEventListener("pageshow", () => {
    isSending = false;
  });
  window.addEventListener("beforeunload", (event) => {
    if (!isSending && hasTyped()) event.preventDefault();
  });
}
