'use strict';
// Nanoseconds since 1970 as BigInts, to and from what else there is.
const { invalidType, invalidValue, outOfRange } = require('./errors.cjs');

const perSecond = 1000000000n;
const perMillisecond = 1000000n;
const furthestDate = 8640000000000000n * perMillisecond; // what a Date can be

function toNanoseconds(value, name = 'nanoseconds') {
  if (typeof value !== 'bigint') {
    throw invalidType(name, 'of type bigint', value);
  }
  return value;
}

// Towards the past, as seconds of a timespec are: its nanoseconds are never negative.
function floorDivide(value, by) {
  const quotient = value / by;
  return value % by < 0n ? quotient - 1n : quotient;
}

function nanosecondsFromDate(date) {
  if (!(date instanceof Date)) {
    throw invalidType('date', 'an instance of Date', date);
  }
  if (Number.isNaN(date.getTime())) {
    throw outOfRange('date', 'a valid date', date);
  }
  return BigInt(date.getTime()) * perMillisecond;
}

function dateFromNanoseconds(nanoseconds) {
  const value = toNanoseconds(nanoseconds);
  if (value > furthestDate || value < -furthestDate) {
    throw outOfRange('nanoseconds', 'within what a Date can hold', nanoseconds);
  }
  return new Date(Number(floorDivide(value, perMillisecond)));
}

function timespecFromNanoseconds(nanoseconds) {
  const value = toNanoseconds(nanoseconds);
  const seconds = floorDivide(value, perSecond);
  return { seconds, nanoseconds: Number(value - seconds * perSecond) };
}

function nanosecondsFromTimespec(timespec) {
  if (timespec === null || typeof timespec !== 'object') {
    throw invalidType('timespec', 'of type object', timespec);
  }
  const seconds = toNanoseconds(timespec.seconds, 'timespec.seconds');
  if (typeof timespec.nanoseconds !== 'number') {
    throw invalidType('timespec.nanoseconds', 'of type number', timespec.nanoseconds);
  }
  if (!Number.isInteger(timespec.nanoseconds) || timespec.nanoseconds < 0 || timespec.nanoseconds > 999999999) {
    throw outOfRange('timespec.nanoseconds', 'an integer >= 0 && <= 999999999', timespec.nanoseconds);
  }
  return seconds * perSecond + BigInt(timespec.nanoseconds);
}

// "2026-01-31T12:00:00.000000001Z"
function stringFromNanoseconds(nanoseconds) {
  const value = toNanoseconds(nanoseconds);
  const seconds = floorDivide(value, perSecond);
  const date = dateFromNanoseconds(seconds * perSecond).toISOString();
  return `${date.slice(0, -5)}.${String(value - seconds * perSecond).padStart(9, '0')}Z`;
}

function nanosecondsFromString(text) {
  if (typeof text !== 'string') {
    throw invalidType('text', 'of type string', text);
  }
  const match = /^([+-]\d{6}|\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z$/.exec(text);
  const milliseconds = match === null ? NaN : Date.parse(text.replace(/\.\d+/, ''));
  // Date.parse lets 31 February be 3 March.
  if (Number.isNaN(milliseconds) || !new Date(milliseconds).toISOString().startsWith(text.slice(0, text.indexOf(':') + 6))) {
    throw invalidValue('text', 'a time like 2026-01-31T12:00:00.000000001Z', text);
  }
  return BigInt(milliseconds) * perMillisecond + BigInt((match[7] ?? '').padEnd(9, '0'));
}

module.exports = {
  dateFromNanoseconds,
  nanosecondsFromDate,
  nanosecondsFromString,
  nanosecondsFromTimespec,
  stringFromNanoseconds,
  timespecFromNanoseconds,
};
