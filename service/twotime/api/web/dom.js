// Elements from plain data: text is always text, never markup.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/**
 * Put new elements into a list. What looks the same stays: progress draws the lists anew many times a second, and a
 * button must not go from under the hand, nor the keyboard focus.
 */
export function refill(list, children) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  children.forEach((child, place) => {
    const before = list.children[place];
    if (!before) list.append(child);
    else if (before.outerHTML !== child.outerHTML) before.replaceWith(child);
  });
  while (list.children.length > children.length) list.lastElementChild.remove();
  if (focused && !list.contains(document.activeElement)) list.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

let hiding;

/** Show a sentence at the lower right for a while. */
export function say(sentence) {
  const box = document.getElementById("message");
  box.textContent = sentence;
  box.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => (box.hidden = true), 9000);
}

/** Put words on the clipboard and say so; also where the page is not served over TLS. */
export async function copy(words) {
  try {
    await navigator.clipboard.writeText(words);
  } catch {
    const box = el("textarea", { "aria-hidden": "true" });
    box.value = words;
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
  say(`Copied: ${words}`);
}

export const copyButton = (words, label) =>
  el("button", { class: "copy", type: "button", title: label, "aria-label": label, onclick: (event) => {
    event.stopPropagation();
    copy(words);
  } });
