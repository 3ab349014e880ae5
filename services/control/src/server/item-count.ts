import type { DescMessage, Message } from "@bufbuild/protobuf";
import { isReflectMessage, reflect } from "@bufbuild/protobuf/reflect";

/** Whether the lists and maps of a message, of those in it too, hold more items together than this. */
export function hasMoreItems(desc: DescMessage, message: Message, most: number): boolean {
  return count(desc, message, most) > most;
}

/** Counts until it is more than `most`. */
function count(desc: DescMessage, message: Message, most: number): number {
  const read = reflect(desc, message, false);
  let items = 0;
  for (const field of desc.fields) {
    if (items > most) break;
    if (!read.isSet(field)) continue;
    switch (field.fieldKind) {
      case "message":
        items += count(field.message, read.get(field).message, most - items);
        break;
      case "list": {
        const list = read.get(field);
        items += list.size;
        if (field.listKind !== "message" || items > most) break;
        for (const item of list) {
          if (isReflectMessage(item)) items += count(item.desc, item.message, most - items);
          if (items > most) break;
        }
        break;
      }
      case "map":
        items += read.get(field).size;
        break;
      default:
    }
  }
  return items;
}
