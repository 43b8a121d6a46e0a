// The clauses of HTTP caching that millrace answers for, in short: the left side of
// docs/reference/rfc-coverage.md. A scenario's title begins with the section and number of its clause. Where
// this text and an RFC differ, the RFC is right.

/** M: the RFC requires it. S: it advises it. O: allowed, saves origin traffic. D: a choice of ours. */
export type Level = 'M' | 'S' | 'O' | 'D';

export interface Clause {
  readonly id: string;
  /** Several where a clause has several statements. */
  readonly levels: readonly Level[];
  readonly what: string;
  /** Why an optional clause is left out; such a clause needs no scenario. */
  readonly leftOut?: string;
  /** An optional part of it that is left out, and why. */
  readonly without?: string;
  /** What is missing before it holds. */
  readonly notYet?: string;
}

export interface Section {
  readonly id: string;
  readonly title: string;
  /** RFC sections. */
  readonly sources: string;
  readonly clauses: readonly Clause[];
}

function section(
  id: string,
  title: string,
  sources: string,
  rows: ReadonlyArray<readonly [string, string, Pick<Clause, 'leftOut' | 'without' | 'notYet'>?]>,
): Section {
  const clauses = rows.map(([levels, what, remark = {}], at) => ({
    id: `${id}.${at + 1}`,
    levels: levels.split('') as Level[],
    what,
    ...remark,
  }));
  return { id, title, sources, clauses };
}

export const sections: readonly Section[] = [
  section('1', 'Reading fields', 'RFC 9110 5; RFC 9111 1.2.2, 4.2.1, 5', [
    [
      'M',
      'lines of one list field are one list; empty members are skipped; Set-Cookie is never joined',
    ],
    ['M', 'directives: names without case, token or quoted arguments, quoted text is data'],
    ['M', 'unknown directives change nothing'],
    ['M', 'delta-seconds are digits; too large counts as very large, for Age too'],
    ['S', 'an unreadable lifetime is stale; an unreadable restriction restricts'],
    ['SD', 'a directive twice: the smallest lifetime counts'],
    ['MS', 'dates: the three formats in any letter case, nothing else, beyond 2038 as well'],
    ['M', 'a bad or repeated Expires is past; a bad Date is none'],
    ['S', 'a bad Age is none; of several the first counts'],
    ['M', 'octets above 0x7F, odd names and the order of equal names survive'],
  ]),
  section('2', 'Keys', 'RFC 9111 2, 4.1; RFC 9110 4.2.3, 7.1, 12.5.5', [
    ['M', 'the key has method and full target, with the authority that was really asked for'],
    ['M', 'Vary: every named field has to match; absent matches absent alone'],
    ['S', 'matching may normalise lists, never across meanings'],
    ['MD', 'a star anywhere in Vary: no later request matches, and nothing is stored'],
    ['O', 'several variants of one URI; other fields do not matter'],
    ['M', 'of several matches the most recent; each is judged by its own Vary'],
    ['S', 'no variant matches: the tags of all may be asked about, the 304 names one'],
  ]),
  section('3', 'May it be stored?', 'RFC 9111 3, 3.5, 5.2.2; RFC 9110 9.2.3, 15.1', [
    [
      'MO',
      'GET and what answers it; other methods store nothing',
      {
        without:
          'answers to POST: a body is no part of the key, and artefacts do not come that way',
      },
    ],
    ['M', 'final statuses alone; 1xx leaves no trace'],
    ['M', '206 and 304 only as parts and validations; any other final status with a lifetime'],
    [
      'M',
      'must-understand: with a status that is understood it overrides no-store, else it forbids',
    ],
    ['MS', 'no-store of a response, and of a request'],
    ['MOD', 'private, also with field names'],
    ['M', 'Authorization: only with public, must-revalidate or s-maxage'],
    ['MS', 'something has to allow it, and there must be something to gain'],
    ['MD', 'Set-Cookie is stored with an explicit lifetime or public, never on a heuristic one'],
    ['M', 'nothing whose framing could not be trusted'],
    ['S', 'what may not be stored does not remove what is'],
    ['S', 'fields about content have no influence'],
  ]),
  section('4', 'What is stored and sent on', 'RFC 9111 3.1; RFC 9110 6.5, 7.6', [
    ['MS', 'hop-by-hop fields go, in both directions; Connection cannot strip framing and caching'],
    ['M', 'fields between client and proxy are not stored; unknown ones are'],
    ['O', 'no-cache with field names counts as no-cache'],
    ['M', 'Content-Length is right for what is sent; without a length chunks or close'],
    ['M', 'trailers stay apart from the header and govern nothing'],
    ['MS', 'Via in both directions; a request with our own entry is a loop'],
    ['M', 'Max-Forwards of TRACE and OPTIONS'],
    ['M', 'Date only where there was none; nothing is rewritten because time passed'],
    ['M', 'bodies and their codings are left alone'],
    ['S', 'Expect and interim responses go through; none is replayed; 101 only where agreed'],
    [
      'S',
      'unknown methods, statuses and reasons pass unchanged',
      {
        without:
          "methods that are not registered: Node's parser knows none of them, they are a 501",
      },
    ],
  ]),
  section('5', 'Freshness and age', 'RFC 9111 4.2, 5.1, 5.3; RFC 8246', [
    ['M', 'lifetime: s-maxage, max-age, Expires less Date, heuristic, in this order'],
    ['M', 'fresh while the lifetime is larger than the age; our clock stays out of the lifetime'],
    ['M', 'age: upstream Age, apparent age, the delay of the response, the time here'],
    ['MS', 'every answer from the store has its true Age'],
    ['OMS', 'heuristics: few statuses, a tenth of the time since Last-Modified, at most a day'],
    ['O', 'immutable: a reload does not validate what is fresh'],
    ['O', 'Pragma counts in requests without Cache-Control and nowhere else'],
  ]),
  section('5b', 'Directives of a request', 'RFC 9111 5.2.1', [
    ['S', 'max-age'],
    ['S', 'min-fresh'],
    ['S', 'max-stale'],
    ['S', 'no-cache'],
    ['S', 'no-store'],
    ['S', 'no-transform'],
    ['S', 'only-if-cached'],
    ['SD', 'unknown ones change nothing; all are honoured'],
  ]),
  section('6', 'Validation', 'RFC 9111 4.3; RFC 9110 8.8, 13', [
    ['MS', 'the stored ETag and Last-Modified, as they came'],
    ['M', 'the fields that Vary names go along'],
    ['M', "a client's own condition is judged by us; no 304 to who sent no condition"],
    ['M', 'If-Match and If-Unmodified-Since are for the origin'],
    ['S', 'If-None-Match: weak comparison, lists, star, byte for byte'],
    ['M', 'If-None-Match beats If-Modified-Since'],
    ['S', 'If-Modified-Since: against Last-Modified, else Date; invalid ones are ignored'],
    ['MS', 'the fields of a 304'],
    ['S', 'only GET and HEAD, only a stored 200'],
    ['M', 'what a 304 validates: by strong tag, by weak tag, or what was asked about'],
    ['MS', 'its fields replace the stored ones, but for those of the body; age begins anew'],
    ['M', 'a full answer replaces; an error is passed on or stood in for'],
    ['O', 'a HEAD tells whether the stored GET still holds'],
    ['MD', 'HEAD from a stored GET, never the reverse; else it goes on as HEAD'],
  ]),
  section('7', 'Stale responses', 'RFC 9111 4.2.4; RFC 5861', [
    ['M', 'never where the response forbids it'],
    ['M', 'otherwise only disconnected or with permission'],
    ['SD', 'an origin that is gone is stood in for, within a bound; a 5xx is not gone'],
    ['OM', 'stale-while-revalidate: at once, one question behind it; after the window in line'],
    ['OD', 'stale-if-error'],
    ['S', 'the true Age; no Warning of ours'],
    ['M', 'what is not idempotent is sent once; what was begun is not repeated'],
  ]),
  section(
    '8',
    'Ranges and incomplete responses',
    'RFC 9110 13.1.5, 14, 15.3.7, 15.5.17; RFC 9111 3.3, 3.4',
    [
      ['O', 'a stored 200 answers a range; odd ones are ignored'],
      ['S', 'several ranges: bounded parts, or the whole'],
      ['SM', '416 with the length; conditions first; GET alone'],
      ['M', 'If-Range compares strongly'],
      ['OM', 'a range on a miss; never a range beside a condition of ours'],
      ['OM', 'a 206 is stored as a part and never served as the whole'],
      ['M', 'parts are put together under one strong validator'],
      ['M', 'a body that ends early ends visibly and is not stored as whole'],
      ['M', 'a client that leaves does not damage the entry'],
    ],
  ),
  section('9', 'Invalidation', 'RFC 9111 4.4', [
    ['M', 'a non-error answer to an unsafe method removes all of its URI'],
    ['OM', 'Location and Content-Location of the same origin too'],
    ['M', 'errors and safe methods remove nothing'],
    ['S', 'what was being filled meanwhile is not fresh afterwards'],
    ['S', 'an unsafe request is never answered from the store and never waits'],
  ]),
  section('10', 'Targeted control and Cache-Status', 'RFC 9213; RFC 9211; RFC 9651', [
    ['M', 'the first targeted field that can be read governs alone'],
    [
      'M',
      'structured fields: what cannot be parsed is ignored wholly; integers alone are lifetimes',
    ],
    ['M', 'Age and Date count as always; directives mean what they mean'],
    ['D', 'the field goes on to others'],
    ['O', 'Cache-Status behind what caches before us said'],
    ['O', 'Surrogate-Control is a targeted field where the route asks for it'],
  ]),
  section('11', 'Safety of the wire', 'RFC 9112 2.2, 3, 6, 9, 11; RFC 9111 7', [
    ['M', 'ambiguous framing is refused, in requests (400) and responses (502)'],
    ['M', 'which rule tells the length of a body'],
    ['M', 'exactly one valid Host, and a target that agrees with it'],
    ['S', 'nothing of a request that is not in the key reaches origin and store together'],
    ['S', 'concurrent misses share one request where the response is for sharing'],
    ['S', 'errors are stored only by the rules'],
    ['M', 'lost data is a miss; reuse from delivery on; age counts the down time'],
  ]),
];
