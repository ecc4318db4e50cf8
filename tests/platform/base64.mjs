// Base64 as the platforms write it: the standard alphabet with padding, which Node alone does not insist on.

export const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

// The same with one bit turned.
export function spoiled(base64) {
    const bytes = Buffer.from(base64, 'base64');
    bytes[bytes.length - 1] ^= 1;
    return bytes.toString('base64');
}
