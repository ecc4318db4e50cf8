// What a request may hold, field by field. The platforms refuse unknown and null fields, and so does this.

import { parse } from 'lossless-json';

export class BadField extends Error {
    constructor(field, why) {
        super(`${field || 'the body'} ${why}`);
        this.field = field;
        this.why = why;
    }
}

// Strict JSON: valid UTF-8, no field with two values, and numbers that are not written as whole ones stay apart.
export function readJson(bytes) {
    let text;
    try {
        text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
        throw new BadField('', 'is not UTF-8');
    }
    try {
        return parse(text, null, {
            parseNumber: (digits) => (/^-?(0|[1-9]\d{0,14})$/.test(digits) ? Number(digits) : { notWhole: digits }),
        });
    } catch (error) {
        throw new BadField('', `is not JSON: ${error.message}`);
    }
}

// The query of a call, each parameter at most once and none but the known ones.
export function parameters({ query, body }, known) {
    if (body.length) throw new BadField('', 'is not part of this call');
    const given = {};
    for (const [name, value] of new URLSearchParams(query)) {
        if (!known.includes(name) || name in given) throw new BadField(name, 'is not a parameter of this call, or is there twice');
        given[name] = value;
    }
    return given;
}

export function jsonBody(request, check) {
    if (request.query) throw new BadField('', 'has a query string beside it');
    const value = readJson(request.body);
    check(value);
    return value;
}

export function text({ min = 1, max, pattern = null }) {
    return (value, field) => {
        if (typeof value !== 'string') throw new BadField(field, 'is not a string');
        const length = [...value].length;
        if (length < min || length > max) throw new BadField(field, `is not ${min} to ${max} characters long`);
        if (pattern && !pattern.test(value)) throw new BadField(field, `does not match ${pattern}`);
    };
}

export function whole({ min, max = Number.MAX_SAFE_INTEGER }) {
    return (value, field) => {
        if (typeof value !== 'number') throw new BadField(field, 'is not a whole number');
        if (value < min || value > max) throw new BadField(field, `is not within ${min} and ${max}`);
    };
}

export function flag() {
    return (value, field) => {
        if (typeof value !== 'boolean') throw new BadField(field, 'is not a boolean');
    };
}

export function exactly(...allowed) {
    return (value, field) => {
        if (!allowed.includes(value)) throw new BadField(field, `is not ${allowed.join(' or ')}`);
    };
}

export function that(holds, why) {
    return (value, field) => {
        if (typeof value !== 'string' || !holds(value)) throw new BadField(field, why);
    };
}

export function list(item, { min = 1, max }) {
    return (value, field) => {
        if (!Array.isArray(value)) throw new BadField(field, 'is not a list');
        if (value.length < min || value.length > max) throw new BadField(field, `has not ${min} to ${max} entries`);
        value.forEach((entry, index) => item(entry, `${field}[${index}]`));
    };
}

export function optional(check) {
    return Object.assign((value, field) => check(value, field), { optional: true });
}

export function object(shape) {
    return (value, field = '') => {
        if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new BadField(field, 'is not an object');
        const path = (name) => (field ? `${field}.${name}` : name);
        for (const name of Object.keys(value)) {
            if (!Object.hasOwn(shape, name)) throw new BadField(path(name), 'is not a field of this call');
            if (value[name] === null) throw new BadField(path(name), 'is null');
        }
        for (const [name, check] of Object.entries(shape)) {
            if (Object.hasOwn(value, name)) check(value[name], path(name));
            else if (!check.optional) throw new BadField(path(name), 'is missing');
        }
    };
}

// An address that platforms accept for notifications. Plain HTTP to this machine is always allowed: tests have no certificate.
export function notifyUrl({ max, https = false }) {
    return (value, field) => {
        text({ max })(value, field);
        let url;
        try {
            url = new URL(value);
        } catch {
            throw new BadField(field, 'is not an address');
        }
        const here = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
        const schemes = https && !here ? ['https:'] : ['https:', 'http:'];
        if (!schemes.includes(url.protocol)) throw new BadField(field, `is not ${schemes.join(' or ')}`);
        if (value.includes('?') || value.includes('#')) throw new BadField(field, 'has a query or a fragment');
        if (url.pathname === '/' || url.username) throw new BadField(field, 'has no path, or has a user');
    };
}

// Whether two requests ask for the same.
export function same(one, other) {
    return canonical(one) === canonical(other);
}

function canonical(value) {
    if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
    if (value === null || typeof value !== 'object') return JSON.stringify(value);
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join()}}`;
}
