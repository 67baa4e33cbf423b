/** The row of thumbnails of what a visitor brought. */
import { get, make } from "./elements";
import { type Item } from "./photos";

export class Strip {
  /** Called with an item that was picked. */
  onPick: (item: Item) => void = () => {};
  private readonly element = get("strip");
  private readonly thumbnails = new Map<Item, HTMLButtonElement>();

  /** Shows an item's state; a new item comes last. */
  show(item: Item): void {
    let button = this.thumbnails.get(item);
    if (!button) {
      button = this.thumbnail(item);
      this.thumbnails.set(item, button);
      this.element.append(button);
    }
    button.classList.toggle("failed", item.result?.error !== undefined);
    button.classList.toggle("waiting", !item.isVideo && !item.result);
  }

  private thumbnail(item: Item): HTMLButtonElement {
    const button = make("button", "thumbnail");
    button.type = "button";
    button.title = item.file.name;
    button.setAttribute("aria-label", item.file.name);
    button.onclick = () => this.onPick(item);
    if (item.isVideo) button.append(make("span", "play", "▶"));
    else {
      const image = make("img");
      image.src = item.url;
      image.alt = "";
      image.loading = "lazy";
      image.decoding = "async";
      button.append(image);
    }
    return button;
  }

  /** One picture needs no row. */
  mark(current: Item | undefined): void {
    for (const [item, button] of this.thumbnails) button.setAttribute("aria-current", String(item === current));
    this.element.hidden = this.thumbnails.size < 2;
  }

  clear(): void {
    for (const each of this.thumbnails.values()) each.remove();
    this.thumbnails.clear();
  }
}
