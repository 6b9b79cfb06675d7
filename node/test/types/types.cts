// The same package by require().
import ferry = require('ferry-native');

const report: ferry.CopyReport = ferry.cpSync('a', 'b', { explain: true });
const bytes: bigint = report.bytesCopied;
void bytes;
