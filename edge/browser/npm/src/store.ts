/** What a client keeps between pages: in memory, and with consent in `localStorage`, where the browser allows it. */
export interface Store {
  get(key: string): string | undefined;
  set(key: string, value: string): void;
  remove(key: string): void;
  /** The keys that begin so, sorted. */
  keys(prefix: string): string[];
}

const PREFIX = "verge:";

export function createStore(consents: () => boolean): Store {
  const memory = new Map<string, string>();
  // Merely naming `localStorage` throws where storage is denied.
  const disk = <T>(use: (storage: Storage) => T): T | undefined => {
    try {
      return consents() ? use(localStorage) : undefined;
    } catch {
      return undefined;
    }
  };
  return {
    get: (key) => memory.get(key) ?? disk((storage) => storage.getItem(PREFIX + key)) ?? undefined,
    set(key, value) {
      const kept = disk((storage) => (storage.setItem(PREFIX + key, value), true));
      // What is on the disk is not held here too: another tab may change it.
      if (kept) memory.delete(key);
      else memory.set(key, value);
    },
    remove(key) {
      memory.delete(key);
      disk((storage) => storage.removeItem(PREFIX + key));
    },
    keys(prefix) {
      const kept = disk((storage) => Object.keys(storage)) ?? [];
      const mine = kept.filter((key) => key.startsWith(PREFIX)).map((key) => key.slice(PREFIX.length));
      return [...new Set([...memory.keys(), ...mine])].filter((key) => key.startsWith(prefix)).sort();
    },
  };
}
