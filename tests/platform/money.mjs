// Amounts are whole fen inside; the bills and Alipay speak yuan with two decimals. No float ever holds one.

export function yuan(fen) {
    const digits = String(Math.abs(fen)).padStart(3, '0');
    return `${fen < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

// Only `12.30`: no sign, no other count of decimals, no leading zero. Null when it is not an amount.
export function fen(text) {
    const parts = /^(0|[1-9]\d{0,12})\.(\d{2})$/.exec(text);
    return parts && Number(parts[1] + parts[2]);
}
