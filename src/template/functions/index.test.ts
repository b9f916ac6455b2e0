/** No function that templates of the External Secrets API may call is missing here. */

import { expect, test } from 'vitest';
import { functions } from './index.ts';

const UPSTREAM = `
  pkcs12key pkcs12keyPass pkcs12cert pkcs12certPass pemToPkcs12 pemToPkcs12Pass fullPemToPkcs12 fullPemToPkcs12Pass
  pemTruststoreToPKCS12 pemTruststoreToPKCS12Pass filterPEM filterCertChain certSANs jwkPublicKeyPem jwkPrivateKeyPem
  toYaml fromYaml rsaDecrypt
  hello ago date date_in_zone date_modify dateInZone dateModify duration durationRound htmlDate htmlDateInZone
  must_date_modify mustDateModify mustToDate now toDate unixEpoch
  abbrev abbrevboth trunc trim upper lower title untitle substr repeat trimall trimAll trimSuffix trimPrefix nospace initials
  randAlphaNum randAlpha randAscii randNumeric swapcase shuffle snakecase camelcase kebabcase wrap wrapWith contains hasPrefix
  hasSuffix quote squote cat indent nindent replace plural sha1sum sha256sum sha512sum adler32sum toString
  atoi int64 int float64 seq toDecimal until untilStep add1 add sub div mod mul randInt add1f addf subf divf mulf biggest max min
  maxf minf ceil floor round
  split splitList splitn toStrings join sortAlpha tuple list dict get set unset hasKey pluck keys pick omit merge mergeOverwrite
  mustMerge mustMergeOverwrite values append push mustAppend mustPush prepend mustPrepend first mustFirst rest mustRest last mustLast
  initial mustInitial reverse mustReverse uniq mustUniq without mustWithout has mustHas slice mustSlice concat dig chunk mustChunk
  default empty coalesce all any compact mustCompact fromJson toJson toPrettyJson toRawJson mustFromJson mustToJson mustToPrettyJson
  mustToRawJson ternary deepCopy mustDeepCopy typeOf typeIs typeIsLike kindOf kindIs deepEqual fail
  base dir clean ext isAbs osBase osClean osDir osExt osIsAbs urlParse urlJoin semver semverCompare
  b64enc b64dec b32enc b32dec hexdec bcrypt htpasswd genPrivateKey derivePassword buildCustomCert genCA genCAWithKey genSelfSignedCert
  genSelfSignedCertWithKey genSignedCert genSignedCertWithKey encryptAES decryptAES randBytes uuidv4
  regexMatch mustRegexMatch regexFindAll mustRegexFindAll regexFind mustRegexFind regexReplaceAll mustRegexReplaceAll
  regexReplaceAllLiteral mustRegexReplaceAllLiteral regexSplit mustRegexSplit regexQuoteMeta
  and or not index slice len print printf println html js urlquery call eq ne lt le gt ge
`;

test('every function of the original is here', () => {
  expect(
    UPSTREAM.trim()
      .split(/\s+/)
      .filter((name) => !functions.has(name)),
  ).toEqual([]);
});

test('what would reach out of the template is not', () => {
  const reaching = [
    'env',
    'expandenv',
    'getHostByName',
    'getSecretKey',
    'constructor',
    'toString2',
    '__proto__',
  ];
  expect(reaching.filter((name) => functions.has(name))).toEqual([]);
});
