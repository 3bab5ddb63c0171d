// One page of this browser at a time: two would send the same delivery, and one device listens once.

/**
 * @param {string} name Of what there is to be one of.
 * @param {() => void} isOpen Says that another tab has it; this one waits for that to be closed.
 * @returns {Promise<void>} Once this page is the one.
 */
export function alone(name, isOpen) {
  return new Promise((resolve) => {
    const hold = () => {
      resolve();
      return new Promise(() => {});
    };
    void navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (lock) return hold();
      isOpen();
      void navigator.locks.request(name, hold);
      return undefined;
    });
  });
}
