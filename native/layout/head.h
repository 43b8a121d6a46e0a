// The head of a stored object: status, times, flags, lengths, validators, Vary names, tag hashes and the
// HTTP/1 field block, decided once when the response arrived. Read by C++ and by TypeScript
// (ts/store/entry.ts), so a hit compares integers. Pure; input is hostile until decode_head accepted it.
//
//   offset size field
//      0    4   magic "MRH1"
//      4    2   HTTP status, 100..999
//      6    2   flags (HeadFlag)
//      8    8   response_ms     Unix ms when the response head arrived
//     16    8   initial_age_ms  corrected initial age at response_ms (RFC 9111 section 4.2.3)
//     24    8   fresh_until_ms  Unix ms; age has been counted in
//     32    8   stale_while_revalidate_until_ms  (0 = none)
//     40    8   stale_if_error_until_ms          (0 = none)
//     48    8   body_length     bytes, ~0 when unknown
//     56    8   last_modified_s Unix seconds, ~0 when absent
//     64    8   date_s          Unix seconds of Date (or of receipt)
//     72    4   etag_offset     from the start of the head
//     76    2   etag_length     0 when absent; includes the quotes and W/
//     78    2   reason_length   reason phrase follows the field block
//     80    4   vary_offset     "name\0name\0", lower case, sorted
//     84    2   vary_length
//     86    2   tag_count
//     88    4   tags_offset     tag_count x 8 bytes
//     92    4   fields_offset   "Name: value\r\n" lines, latin1, no terminating empty line
//     96    4   fields_length
//    100    4   reason_offset
//    104    4   total_length    of the whole head
//    108   20   zero
//    128        sections, in the order etag, vary, tags (8-aligned), fields, reason
#pragma once

#include "base/status.h"
#include "base/units.h"

namespace millrace {

inline constexpr uint32_t kHeadMagic = 0x3148524d;  // "MRH1"
inline constexpr ByteCount kHeadFixedSize = 128;

enum HeadFlag : uint16_t {
  kHeadMustRevalidate = 1 << 0,  // must-revalidate, proxy-revalidate or s-maxage: never served stale
  kHeadNoCache = 1 << 1,         // validate before every use
  kHeadImmutable = 1 << 2,       // do not revalidate on reload while fresh
  kHeadVaryMarker = 1 << 3,      // no body: names the fields that choose the variant of this key
  kHeadStrongValidator = 1 << 4, // the ETag is strong: parts of one version may be combined
  kHeadAcceptsRanges = 1 << 5,   // the origin said Accept-Ranges: bytes
  kHeadHasSetCookie = 1 << 6,
  kHeadAuthorized = 1 << 7,      // fetched with Authorization; stored by explicit permission
  kHeadIncomplete = 1 << 8,      // promises no part of the body: what is there is looked up chunk by chunk
};
inline constexpr uint16_t kHeadKnownFlags = 0x1ff;

struct HeadView {
  uint16_t status = 0;
  uint16_t flags = 0;
  uint64_t response_ms = 0;
  uint64_t initial_age_ms = 0;
  uint64_t fresh_until_ms = 0;
  uint64_t stale_while_revalidate_until_ms = 0;
  uint64_t stale_if_error_until_ms = 0;
  uint64_t body_length = ~uint64_t{0};
  uint64_t last_modified_s = ~uint64_t{0};
  uint64_t date_s = 0;
  Bytes etag;
  Bytes vary;    // "name\0name\0"
  Bytes tags;    // 8 bytes each
  Bytes fields;  // "Name: value\r\n" lines
  Bytes reason;
};

ByteCount encoded_head_size(const HeadView& head);
// Fills encoded_head_size(head) bytes.
void encode_head(const HeadView& head, MutableBytes out);
// corrupt when anything is out of range or overlaps; checks that the field block consists of whole
// "Name: value\r\n" lines without NUL or bare CR/LF, that Vary names are lower-case tokens.
Result<HeadView> decode_head(Bytes bytes);

// The flags of a head that decoded before.
uint16_t head_flags(Bytes head);
void set_head_flags(MutableBytes head, uint16_t flags);
// The tags of a head that decoded before, without looking at the rest; none where they are out of place.
Bytes head_tags(Bytes head);

}  // namespace millrace
