// A disk of any size that is not there: of each segment it keeps the footer's last page, and makes every
// other byte when it is read: headers, footers and records with their true checksums, so that the shipped
// recovery, look-ups and reclaim do all of their work at a size that no machine for development has. What
// is written is kept in memory. Requests complete on threads of its own, whose CPU time tells what making
// the bytes cost. submit() may be called from any thread.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/sync.h"
#include "device/device.h"
#include "layout/record.h"
#include "layout/segment.h"

namespace millrace::bench {

enum class Contents : uint8_t {
  singles,  // one object per record, of kSmallBody bytes
  chunks,   // one object per segment: chunks of 1 MiB, and last the head
};

class ProceduralDevice : public Device {
 public:
  static constexpr ByteCount kSmallBody = 4096;  // a record of 4.5 KiB
  static constexpr uint32_t kThreads = 2;

  // As many full segments as hold `records`, or the largest number that fits `size` where records is 0.
  // Filled before it is opened; the superblock says that the last life ended in a crash.
  ProceduralDevice(Contents contents, uint64_t records, ByteCount size);
  ~ProceduralDevice() override;

  const DeviceFacts& facts() const override { return facts_; }
  Status submit(IoRequest* request) override;
  void close() override;

  uint64_t records() const { return record_count_; }
  uint64_t objects() const;
  static std::string key_of(uint64_t object);
  std::vector<uint8_t> footer_bytes(SegmentId segment) const;
  static std::vector<uint8_t> head_of(ByteCount body_length);
  static void body_of(uint64_t object, uint32_t chunk, MutableBytes out);

  uint64_t device_cpu_ns() const { return cpu_ns_.load(); }  // of its threads
  ByteCount read_bytes() const { return read_bytes_.load(); }
  uint64_t reads() const { return reads_.load(); }
  ByteCount written_bytes() const { return written_bytes_.load(); }
  uint32_t segment_count() const { return superblock_.geometry.segment_count; }

 private:
  static constexpr ByteCount kPiece = 4096;
  using Piece = std::array<uint8_t, kPiece>;

  static void* run_thread(void* self);
  void run();
  void execute(IoRequest* request);
  void make(ByteOffset offset, MutableBytes out);
  void make_records(SegmentId segment, ByteOffset begin, MutableBytes out);
  void make_record(SegmentId segment, uint32_t number, MutableBytes out) const;
  RecordHeader header_of(SegmentId segment, uint32_t number) const;
  SegmentFooter footer_of(SegmentId segment) const;
  ByteOffset offset_of(uint32_t number) const;
  void write_piece(ByteOffset offset, Bytes bytes);

  const Contents contents_;
  Superblock superblock_;
  DeviceFacts facts_;
  std::vector<uint8_t> head_;
  ByteCount stride_ = 0;
  uint32_t per_segment_ = 0;
  uint64_t record_count_ = 0;
  std::vector<Piece> trailers_;

  Mutex mutex_;
  Condition condition_;
  std::deque<IoRequest*> queue_;
  bool closed_ = false;
  Mutex written_mutex_;
  std::unordered_map<ByteOffset, std::unique_ptr<Piece>> written_;
  std::atomic<uint64_t> cpu_ns_{0};
  std::atomic<uint64_t> reads_{0};
  std::atomic<ByteCount> read_bytes_{0};
  std::atomic<ByteCount> written_bytes_{0};
  Thread threads_[kThreads];
};

}  // namespace millrace::bench
