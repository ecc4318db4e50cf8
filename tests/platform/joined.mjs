// What Alipay and UnionPay sign: the names in order, the values as they are, nothing that is empty.
export function joined(entries) {
    const byName = ([one], [other]) => (one < other ? -1 : 1);
    return entries.filter(([, value]) => value !== '').sort(byName).map(([name, value]) => `${name}=${value}`).join('&');
}
