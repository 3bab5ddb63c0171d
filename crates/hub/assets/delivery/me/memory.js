// What this browser keeps of its person between two visits, in its database for this hub's pages:
//
//   person/me        whose device it is, its keys, and what it has seen; the secret halves can be used and not read
//   deliveries/ID    what opens a delivery whose contents are in this browser (see `../kept.js`)
//   sendings/ID      a delivery that is sent from here; its files stay where they are
//
// A guest's page keeps its keys and its sendings in the same way.

/** A guest's page has one of its own: they are different keys. */
const NAME = document.body.id === "guest-page" ? "consign-guest" : "consign-person";
const STORES = ["person", "deliveries", "sendings"];

/**
 * @typedef {object} Memory
 * @property {string} handle
 * @property {string} name What the browser is called among the devices.
 * @property {import("./account.js").Own} own
 * @property {{ number: number, hash: Uint8Array, book: number } | null} seen The newest list of devices, and the
 *   version of the address book; `null` before it was approved.
 *
 * @typedef {object} KeptDelivery
 * @property {string} name Its id.
 * @property {string} from
 * @property {number} since When it was opened here, in seconds since 1970.
 * @property {import("../link.js").Link} link
 *
 * @typedef {object} Sending
 * @property {string} name Its id.
 * @property {Uint8Array} id
 * @property {Uint8Array} secret
 * @property {string | null} to A handle; `null` for whoever has the link.
 * @property {Uint8Array} header As it is sent.
 * @property {number} since When it was made, in seconds since 1970.
 * @property {{ text: string, colour: string } | null} ended How it ended, in words.
 * @property {import("../sender.js").LockerTerms | null} [locker] How the hub is to keep it, if it is.
 * @property {number | null} [until] Until when the recipient may begin, in seconds since 1970, where nothing is kept.
 * @property {import("../sender.js").Kept | null} [kept] Once the hub has everything in a locker.
 */

/** @returns {Promise<IDBDatabase>} */
function database() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => STORES.forEach((store) => request.result.createObjectStore(store));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * @template T
 * @param {string} store
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T>} act
 * @returns {Promise<T>} What it gave, once that is kept.
 */
async function within(store, mode, act) {
  const opened = await database();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = opened.transaction(store, mode, { durability: "strict" });
      const request = act(transaction.objectStore(store));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? request.error);
    });
  } finally {
    opened.close();
  }
}

/** @returns {Promise<Memory | undefined>} */
export function remembered() {
  return within("person", "readonly", (store) => store.get("me"));
}

/** @param {Memory} memory */
export function remember(memory) {
  return within("person", "readwrite", (store) => store.put(memory, "me"));
}

/** @returns {Promise<KeptDelivery[]>} */
export function keptDeliveries() {
  return within("deliveries", "readonly", (store) => store.getAll());
}

/** @param {KeptDelivery} delivery */
export function keepDelivery(delivery) {
  return within("deliveries", "readwrite", (store) => store.put(delivery, delivery.name));
}

/** @param {string} name */
export function dropDelivery(name) {
  return within("deliveries", "readwrite", (store) => store.delete(name));
}

/** @returns {Promise<Sending[]>} */
export function sendings() {
  return within("sendings", "readonly", (store) => store.getAll());
}

/** @param {Sending} sending */
export function keepSending(sending) {
  return within("sendings", "readwrite", (store) => store.put(sending, sending.name));
}

/** @param {string} name */
export function dropSending(name) {
  return within("sendings", "readwrite", (store) => store.delete(name));
}

/** Forgets everything; the keys are gone for good. */
export async function forgetAll() {
  await new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(NAME);
    request.onsuccess = resolve;
    request.onerror = () => reject(request.error);
  });
  const root = await navigator.storage.getDirectory();
  await root.removeEntry("deliveries", { recursive: true }).catch(() => {});
}

/** @returns {Promise<import("./account.js").Own>} New keys, whose secret halves never leave the browser. */
export async function makeKeys() {
  const pair = async (/** @type {string} */ kind, /** @type {KeyUsage[]} */ usages) => {
    const made = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey(kind, false, usages));
    return { secret: made.privateKey, key: new Uint8Array(await crypto.subtle.exportKey("raw", made.publicKey)) };
  };
  return { ...(await pair("Ed25519", ["sign", "verify"])), exchange: await pair("X25519", ["deriveBits"]) };
}
