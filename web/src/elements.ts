/** Elements of the page by id, and new ones. */
export function get<E extends HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no #${id}`);
  return found as E;
}

/** A new element with a class and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Sets a text only where it differs, so that nothing is laid out anew for the same. */
export function put(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
