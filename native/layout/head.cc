// The stored head. See head.h for the table of offsets.
#include "layout/head.h"

#include "base/endian.h"

namespace millrace {

namespace {

constexpr uint16_t kMinimumStatus = 100;
constexpr uint16_t kMaximumStatus = 999;
constexpr size_t kFixedFieldsEnd = 108;
constexpr ByteCount kTagSize = 8;

struct Sections {
  ByteOffset etag = 0;
  ByteOffset vary = 0;
  ByteOffset tags = 0;
  ByteOffset fields = 0;
  ByteOffset reason = 0;
  ByteOffset total = 0;
};

Sections sections_of(ByteCount etag, ByteCount vary, ByteCount tags, ByteCount fields,
                     ByteCount reason) {
  Sections at;
  at.etag = kHeadFixedSize;
  at.vary = at.etag + etag;
  at.tags = round_up(at.vary + vary, kTagSize);
  at.fields = at.tags + tags;
  at.reason = at.fields + fields;
  at.total = at.reason + reason;
  return at;
}

// RFC 9110 section 5.6.2.
bool is_token_byte(uint8_t byte) {
  if (byte >= '0' && byte <= '9') return true;
  if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') return true;
  switch (byte) {
    case '!': case '#': case '$': case '%': case '&': case '\'': case '*': case '+':
    case '-': case '.': case '^': case '_': case '`': case '|': case '~':
      return true;
    default:
      return false;
  }
}

bool is_line_break_or_nul(uint8_t byte) { return byte == 0 || byte == '\r' || byte == '\n'; }

bool is_field_text(Bytes bytes) {
  for (const uint8_t byte : bytes) {
    if (is_line_break_or_nul(byte)) return false;
  }
  return true;
}

// Whole "Name: value\r\n" lines and nothing else.
bool is_field_block(Bytes block) {
  size_t at = 0;
  while (at < block.size()) {
    const size_t name = at;
    while (at < block.size() && is_token_byte(block[at])) at++;
    if (at == name || at + 1 >= block.size() || block[at] != ':' || block[at + 1] != ' ') {
      return false;
    }
    at += 2;
    while (at < block.size() && !is_line_break_or_nul(block[at])) at++;
    if (at + 1 >= block.size() || block[at] != '\r' || block[at + 1] != '\n') return false;
    at += 2;
  }
  return true;
}

// "name\0name\0": lower-case tokens in strictly rising order.
bool is_vary_list(Bytes list) {
  Bytes previous;
  while (!list.empty()) {
    size_t length = 0;
    while (length < list.size() && list[length] != 0) {
      const uint8_t byte = list[length++];
      if (!is_token_byte(byte) || (byte >= 'A' && byte <= 'Z')) return false;
    }
    if (length == 0 || length == list.size()) return false;
    const Bytes name = list.first(length);
    const size_t shared = previous.size() < name.size() ? previous.size() : name.size();
    const int order = shared == 0 ? -1 : std::memcmp(previous.data(), name.data(), shared);
    if (order > 0 || (order == 0 && previous.size() >= name.size())) return false;
    previous = name;
    list = list.subspan(length + 1);
  }
  return true;
}

}  // namespace

ByteCount encoded_head_size(const HeadView& head) {
  return sections_of(head.etag.size(), head.vary.size(), head.tags.size(), head.fields.size(),
                     head.reason.size())
      .total;
}

void encode_head(const HeadView& head, MutableBytes out) {
  const Sections at = sections_of(head.etag.size(), head.vary.size(), head.tags.size(),
                                  head.fields.size(), head.reason.size());
  MR_ASSERT_OP(out.size(), ==, at.total);
  MR_ASSERT_OP(head.etag.size(), <=, 0xffffu);
  MR_ASSERT_OP(head.vary.size(), <=, 0xffffu);
  MR_ASSERT_OP(head.reason.size(), <=, 0xffffu);
  MR_ASSERT_OP(head.tags.size() % kTagSize, ==, 0u);
  MR_ASSERT(head.status >= kMinimumStatus && head.status <= kMaximumStatus);
  std::memset(out.data(), 0, out.size());
  store_le<uint32_t>(out, 0, kHeadMagic);
  store_le<uint16_t>(out, 4, head.status);
  store_le<uint16_t>(out, 6, head.flags);
  store_le<uint64_t>(out, 8, head.response_ms);
  store_le<uint64_t>(out, 16, head.initial_age_ms);
  store_le<uint64_t>(out, 24, head.fresh_until_ms);
  store_le<uint64_t>(out, 32, head.stale_while_revalidate_until_ms);
  store_le<uint64_t>(out, 40, head.stale_if_error_until_ms);
  store_le<uint64_t>(out, 48, head.body_length);
  store_le<uint64_t>(out, 56, head.last_modified_s);
  store_le<uint64_t>(out, 64, head.date_s);
  store_le<uint32_t>(out, 72, head.etag.empty() ? 0 : static_cast<uint32_t>(at.etag));
  store_le<uint16_t>(out, 76, static_cast<uint16_t>(head.etag.size()));
  store_le<uint16_t>(out, 78, static_cast<uint16_t>(head.reason.size()));
  store_le<uint32_t>(out, 80, static_cast<uint32_t>(at.vary));
  store_le<uint16_t>(out, 84, static_cast<uint16_t>(head.vary.size()));
  store_le<uint16_t>(out, 86, static_cast<uint16_t>(head.tags.size() / kTagSize));
  store_le<uint32_t>(out, 88, static_cast<uint32_t>(at.tags));
  store_le<uint32_t>(out, 92, static_cast<uint32_t>(at.fields));
  store_le<uint32_t>(out, 96, static_cast<uint32_t>(head.fields.size()));
  store_le<uint32_t>(out, 100, static_cast<uint32_t>(at.reason));
  store_le<uint32_t>(out, 104, static_cast<uint32_t>(at.total));
  const auto put = [out](ByteOffset offset, Bytes section) {
    if (!section.empty()) std::memcpy(out.data() + offset, section.data(), section.size());
  };
  put(at.etag, head.etag);
  put(at.vary, head.vary);
  put(at.tags, head.tags);
  put(at.fields, head.fields);
  put(at.reason, head.reason);
}

Result<HeadView> decode_head(Bytes bytes) {
  if (bytes.size() < kHeadFixedSize || load_le<uint32_t>(bytes, 0) != kHeadMagic) {
    return Status(Code::corrupt, "not a stored head");
  }
  HeadView head;
  head.status = load_le<uint16_t>(bytes, 4);
  head.flags = load_le<uint16_t>(bytes, 6);
  if (head.status < kMinimumStatus || head.status > kMaximumStatus) {
    return Status(Code::corrupt, "a stored head's status is out of range");
  }
  if ((head.flags & ~kHeadKnownFlags) != 0) {
    return Status(Code::corrupt, "a stored head with unknown flags");
  }
  head.response_ms = load_le<uint64_t>(bytes, 8);
  head.initial_age_ms = load_le<uint64_t>(bytes, 16);
  head.fresh_until_ms = load_le<uint64_t>(bytes, 24);
  head.stale_while_revalidate_until_ms = load_le<uint64_t>(bytes, 32);
  head.stale_if_error_until_ms = load_le<uint64_t>(bytes, 40);
  head.body_length = load_le<uint64_t>(bytes, 48);
  head.last_modified_s = load_le<uint64_t>(bytes, 56);
  head.date_s = load_le<uint64_t>(bytes, 64);
  const ByteCount etag = load_le<uint16_t>(bytes, 76);
  const ByteCount reason = load_le<uint16_t>(bytes, 78);
  const ByteCount vary = load_le<uint16_t>(bytes, 84);
  const ByteCount tags = ByteCount{load_le<uint16_t>(bytes, 86)} * kTagSize;
  const ByteCount fields = load_le<uint32_t>(bytes, 96);
  // The order and the padding of the sections are fixed, so their offsets follow from their lengths.
  const Sections at = sections_of(etag, vary, tags, fields, reason);
  if (load_le<uint32_t>(bytes, 72) != (etag == 0 ? 0 : at.etag) ||
      load_le<uint32_t>(bytes, 80) != at.vary || load_le<uint32_t>(bytes, 88) != at.tags ||
      load_le<uint32_t>(bytes, 92) != at.fields || load_le<uint32_t>(bytes, 100) != at.reason ||
      load_le<uint32_t>(bytes, 104) != at.total || bytes.size() != at.total) {
    return Status(Code::corrupt, "a stored head's sections are out of place");
  }
  if (!all_zero(bytes.subspan(kFixedFieldsEnd, kHeadFixedSize - kFixedFieldsEnd)) ||
      !all_zero(bytes.subspan(at.vary + vary, at.tags - at.vary - vary))) {
    return Status(Code::corrupt, "a stored head's padding is not zero");
  }
  head.etag = bytes.subspan(at.etag, etag);
  head.vary = bytes.subspan(at.vary, vary);
  head.tags = bytes.subspan(at.tags, tags);
  head.fields = bytes.subspan(at.fields, fields);
  head.reason = bytes.subspan(at.reason, reason);
  if (!is_field_block(head.fields)) {
    return Status(Code::corrupt, "a stored head's field block is malformed");
  }
  if (!is_field_text(head.etag) || !is_field_text(head.reason)) {
    return Status(Code::corrupt, "a stored head's ETag or reason holds a line break");
  }
  if (!is_vary_list(head.vary)) {
    return Status(Code::corrupt, "a stored head's Vary names are malformed");
  }
  return head;
}

uint16_t head_flags(Bytes head) {
  return head.size() < kHeadFixedSize ? 0 : load_le<uint16_t>(head, 6);
}

void set_head_flags(MutableBytes head, uint16_t flags) {
  MR_ASSERT_OP(head.size(), >=, kHeadFixedSize);
  store_le<uint16_t>(head, 6, flags);
}

Bytes head_tags(Bytes head) {
  if (head.size() < kHeadFixedSize) return Bytes();
  const ByteCount length = ByteCount{load_le<uint16_t>(head, 86)} * kTagSize;
  const ByteOffset begin = load_le<uint32_t>(head, 88);
  return begin + length <= head.size() ? head.subspan(begin, length) : Bytes();
}

}  // namespace millrace
