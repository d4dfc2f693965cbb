// Unpacks the Chromium of the package @sparticuz/chromium next to it, once, with the libraries and fonts that a machine
// without a desktop lacks, and exports its path.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

// The package unpacks to the folder for temporary files, and the libraries only if it runs in a known cloud.
process.env.TMPDIR = join(import.meta.dirname, 'node_modules/.chromium');
process.env.AWS_LAMBDA_JS_RUNTIME = 'nodejs20.x';
// Without it, pictures have no text: the package's own file names folders that only that cloud has.
process.env.FONTCONFIG_FILE = join(import.meta.dirname, 'fonts.conf');
mkdirSync(process.env.TMPDIR, { recursive: true });
const { default: chromium } = await import('@sparticuz/chromium');

export const executablePath = await chromium.executablePath();
