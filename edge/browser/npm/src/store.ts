/** A client's storage: `localStorage` with consent and if the browser allows it, or else memory. */
export interface Store {
  get(key: string): string | undefined;
  set(key: string, value: string): void;
  remove(key: string): void;
  /** The keys with this prefix, sorted. */
  keys(prefix: string): string[];
}

const PREFIX = "verge:";

export function createStore(consents: () => boolean): Store {
  const memory = new Map<string, string>();
  // Accessing `localStorage` throws if storage is denied.
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
      // Do not keep a copy in memory: another tab may change the value.
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
