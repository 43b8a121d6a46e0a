// Stored blocks to raw pages. See stored-body.h.
#include "engine/stored-body.h"

#include <cstring>

#include "base/crc32c.h"
#include "base/lz4-block.h"

namespace millrace {

namespace {

// Takes bytes from the front of a list of spans.
class StoredBytes {
 public:
  StoredBytes(PagePool& pool, std::span<const Bytes> parts) : pool_(pool), parts_(parts) {}

  ByteCount left() const {
    ByteCount sum = 0;
    for (size_t i = part_; i < parts_.size(); i++) sum += parts_[i].size();
    return sum - skip_;
  }

  // Needs out.size() <= left().
  void copy(MutableBytes out) {
    while (!out.empty()) {
      MR_ASSERT_OP(part_, <, parts_.size());
      const Bytes rest = parts_[part_].subspan(skip_);
      const ByteCount count = rest.size() < out.size() ? rest.size() : out.size();
      if (count > 0) std::memcpy(out.data(), rest.data(), count);
      advance(count);
      out = out.subspan(count);
    }
  }

  // The next bytes as one run, copied together only where they are spread; empty without a page for that.
  Bytes run(ByteCount length) {
    while (part_ < parts_.size() && skip_ == parts_[part_].size()) advance(0);
    MR_ASSERT_OP(part_, <, parts_.size());
    const Bytes rest = parts_[part_].subspan(skip_);
    if (rest.size() >= length) {
      advance(length);
      return rest.first(length);
    }
    MR_ASSERT_OP(length, <=, kPageSize);
    if (!scratch_) scratch_ = pool_.allocate();
    if (!scratch_) return Bytes();
    copy(MutableBytes(scratch_.data(), length));
    return Bytes(scratch_.data(), length);
  }

 private:
  void advance(ByteCount count) {
    skip_ += count;
    if (skip_ == parts_[part_].size()) {
      part_++;
      skip_ = 0;
    }
  }

  PagePool& pool_;
  const std::span<const Bytes> parts_;
  size_t part_ = 0;
  ByteCount skip_ = 0;
  PageRef scratch_;
};

}  // namespace

Status decode_stored_blocks(PagePool& pool, const RecordView& view, uint32_t first, uint32_t count,
                            std::span<const Bytes> stored, bool check, std::vector<PageSpan>* out) {
  const Status no_page(Code::again, "no free page for a compressed block");
  StoredBytes source(pool, stored);
  for (uint32_t block = first; block < first + count; block++) {
    const uint32_t raw = raw_block_length(view.header, block);
    const uint32_t length = view.stored_block_length(block);
    if (length > source.left()) return Status(Code::corrupt, "a compressed body is cut short");
    PageRef page = pool.allocate(raw);
    if (!page) return no_page;
    const MutableBytes target(page.data(), raw);
    Bytes bytes = target;
    if (length == raw) {
      source.copy(target);
    } else {
      bytes = source.run(length);
      if (bytes.empty()) return no_page;
    }
    if (check && crc32c(bytes) != view.block_crc(block)) {
      return Status(Code::corrupt, "a body does not match its checksum");
    }
    if (length != raw && !lz4_decompress(bytes, target)) {
      return Status(Code::corrupt, "a compressed block does not decompress to its length");
    }
    out->push_back(PageSpan{std::move(page), 0, raw});
  }
  return Status();
}

Result<Ref<MemoryRecord>> decode_stored_record(PagePool& pool, const RecordView& view,
                                               const std::string& key,
                                               std::span<const Bytes> stored, bool check) {
  MR_ASSERT(is_compressed(view.header));
  std::vector<PageSpan> body;
  const Status status =
      decode_stored_blocks(pool, view, 0, body_block_count(view.header), stored, check, &body);
  if (!status.ok()) return status;
  const RecordHeader header = raw_form(view.header);
  Ref<MemoryRecord> record;
  if (view.meta.size() + header.body_length <= kPageSize / 2) {
    const Bytes only(body.front().data(), body.front().length);
    record = copy_record(pool, header, key, view.meta, std::span(&only, 1));
  } else {
    record = Ref<MemoryRecord>::adopt(new MemoryRecord());
    record->header = header;
    record->key = key;
    if (!view.meta.empty()) {
      PageRef cell = pool.allocate(view.meta.size());
      if (!cell) return Status(Code::again, "no free page for a stored head");
      std::memcpy(cell.data(), view.meta.data(), view.meta.size());
      record->head = PageSpan{std::move(cell), 0, static_cast<uint32_t>(view.meta.size())};
    }
    record->body = std::move(body);
    compact_and_seal(pool, *record);
  }
  if (!record) return Status(Code::again, "no free page for a record");
  record->may_compress = true;
  return record;
}

}  // namespace millrace
