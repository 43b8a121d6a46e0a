// Incomplete objects: which of their bytes are stored, and reading a piece of a chunk. A piece is small or
// will soon be part of a chunk, so that it is read as a whole and kept in memory. See store.h.
#include <algorithm>

#include "engine/store.h"
#include "layout/key.h"

namespace millrace {

namespace {

// How far one call looks for the next stored byte. A head, on the disk or from an origin, may tell of a body
// of any length, and whoever asks waits: this is some milliseconds, and more than anybody asks an origin for.
constexpr ByteCount kLookedAt = 16 * 1024 * kChunkSize;

// State of one asynchronous read of a piece.
struct PendingPiece {
  Ref<Store> store;
  Store::FindDone done;
  void* context;
  ByteCount in_chunk = 0;
  ByteCount length = 0;
};

bool holds(const MemoryRecord& piece, ByteCount in_chunk) {
  return piece.header.interval_begin <= in_chunk && in_chunk < piece.header.interval_end;
}

ByteCount length_in(const MemoryRecord& piece, ByteCount in_chunk, ByteCount wanted) {
  return std::min(wanted, piece.header.interval_end - in_chunk);
}

}  // namespace

bool Store::is_chunk_indexed(uint32_t volume, const KeyHash& hash) const {
  if (volumes_.empty() || volumes_[volume]->is_off()) return false;
  IndexHit hits[Index::kMaximumHits];
  const uint32_t count = volumes_[volume]->index().lookup(hash.low, hits);
  return std::any_of(hits, hits + count, [](const IndexHit& hit) {
    return Index::kind_of(hit.word) == RecordKind::chunk;
  });
}

bool Store::is_chunk_known(uint32_t volume, const KeyHash& hash) {
  Staging* staging = this->staging(volume);
  return tier_.peek(hash) || (staging != nullptr && staging->find(hash)) ||
         is_chunk_indexed(volume, hash);
}

Ref<MemoryRecord> Store::piece_in_memory(uint32_t volume, const KeyHash& object,
                                         uint64_t incarnation, uint32_t chunk) {
  const KeyHash hash = chunk_hash(volume, object, incarnation, chunk | kPieceName);
  Staging* staging = this->staging(volume);
  Ref<MemoryRecord> found = tier_.find(hash);
  if (!found && staging != nullptr) found = staging->find(hash);
  const bool fits = found && found->header.kind == RecordKind::chunk &&
                    found->header.incarnation == incarnation &&
                    found->header.chunk_number == chunk;
  return fits ? found : Ref<MemoryRecord>();
}

ByteOffset Store::stored_end(const MemoryRecord& record, ByteOffset offset, ByteOffset end,
                             uint32_t* unread) {
  const RecordHeader& header = record.header;
  *unread = kNoChunk;
  if (header.kind != RecordKind::head) return header.kind == RecordKind::single ? end : offset;
  while (offset < end && offset / kChunkSize < kPieceName) {
    const auto number = static_cast<uint32_t>(offset / kChunkSize);
    const ByteOffset begin = ByteOffset{number} * kChunkSize;
    if (is_chunk_known(record.volume,
                       chunk_hash(record.volume, header.hash, header.incarnation, number))) {
      offset = std::min(begin + kChunkSize, end);
      continue;
    }
    const Ref<MemoryRecord> piece =
        piece_in_memory(record.volume, header.hash, header.incarnation, number);
    if (!piece) {
      const KeyHash name =
          chunk_hash(record.volume, header.hash, header.incarnation, number | kPieceName);
      if (is_chunk_indexed(record.volume, name)) *unread = number;
      return offset;
    }
    if (!holds(*piece, offset - begin)) return offset;
    offset = std::min(begin + piece->header.interval_end, end);
    if (offset < begin + kChunkSize) return offset;
  }
  return offset;
}

ByteOffset Store::missing_end(const MemoryRecord& record, ByteOffset offset, ByteOffset end) {
  const RecordHeader& header = record.header;
  end = std::min(end, offset + kLookedAt);
  while (offset < end && offset / kChunkSize < kPieceName) {
    const auto number = static_cast<uint32_t>(offset / kChunkSize);
    const ByteOffset begin = ByteOffset{number} * kChunkSize;
    if (is_chunk_known(record.volume,
                       chunk_hash(record.volume, header.hash, header.incarnation, number))) {
      return offset;
    }
    const Ref<MemoryRecord> piece =
        piece_in_memory(record.volume, header.hash, header.incarnation, number);
    if (piece && offset < begin + piece->header.interval_end) {
      return std::min(std::max(offset, begin + piece->header.interval_begin), end);
    }
    offset = begin + kChunkSize;
  }
  return std::min(offset, end);
}

bool Store::is_whole_on_disk(const MemoryRecord& record) {
  const RecordHeader& header = record.header;
  Staging* staging = this->staging(record.volume);
  if (staging == nullptr) return false;
  // An outside tier knows for itself what it has, and loses chunks whenever it likes.
  if (volumes_.empty()) return true;
  const ByteOffset chunks = (header.object_length + kChunkSize - 1) / kChunkSize;
  for (ByteOffset chunk = 0; chunk < chunks; chunk++) {
    const KeyHash hash = chunk_hash(record.volume, header.hash, header.incarnation,
                                    static_cast<uint32_t>(chunk));
    if (!is_chunk_indexed(record.volume, hash) && !staging->find(hash)) return false;
  }
  return true;
}

Found Store::read_piece(const BodyRange& range, std::vector<PageSpan>* spans, FindDone done,
                        void* context) {
  const auto number = static_cast<uint32_t>(range.offset / kChunkSize);
  const ByteCount in_chunk = range.offset % kChunkSize;
  const Ref<MemoryRecord> found =
      piece_in_memory(range.volume, range.hash, range.incarnation, number);
  if (found) {
    if (!holds(*found, in_chunk)) return Found::miss;
    *spans = found->slice(in_chunk - found->header.interval_begin,
                          length_in(*found, in_chunk, range.length));
    return Found::hit;
  }
  const KeyHash name =
      chunk_hash(range.volume, range.hash, range.incarnation, number | kPieceName);
  if (!is_chunk_indexed(range.volume, name)) return Found::miss;
  if (done == nullptr) return Found::pending;
  auto* pending = new PendingPiece{Ref<Store>::share(this), done, context, in_chunk, range.length};
  ReadTarget target;
  target.hash = name;
  target.is_piece = true;
  target.incarnation = range.incarnation;
  target.chunk_number = number;
  ReadOperation::start(reader_context(range.volume), std::move(target), &Store::piece_read,
                       pending);
  return Found::pending;
}

void Store::piece_read(void* context, Status status, Ref<MemoryRecord> record,
                       const IndexHit& hit) {
  auto* pending = static_cast<PendingPiece*>(context);
  const Ref<Store> store = pending->store;
  if (status.ok()) {
    store->tier_.publish(record);
    if (!Index::unchanged(hit)) store->tier_.remove(record->header.hash);
    if (holds(*record, pending->in_chunk)) {
      const ByteCount length = length_in(*record, pending->in_chunk, pending->length);
      auto part = Ref<MemoryRecord>::adopt(new MemoryRecord());
      part->header = record->header;
      part->volume = record->volume;
      part->body = record->slice(pending->in_chunk - record->header.interval_begin, length);
      part->header.interval_begin = static_cast<uint32_t>(pending->in_chunk);
      part->header.interval_end = static_cast<uint32_t>(pending->in_chunk + length);
      part->header.body_length = static_cast<uint32_t>(length);
      part->header.stored_length = part->header.body_length;
      part->seal();
      record = std::move(part);
    } else {
      status = Status(Code::not_found, "the piece that is stored of this chunk lies elsewhere in it");
      record.reset();
    }
  }
  const FindDone done = pending->done;
  void* done_context = pending->context;
  delete pending;
  done(done_context, status, std::move(record));
}

}  // namespace millrace
