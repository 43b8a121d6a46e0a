// One running fetch: a producer that appends, any number of followers that read with cursors of their own,
// a window of pages in between. Whole chunks go to the memory tier and to staging as they complete; the
// head goes last, so a crash leaves orphans and never a head that lies. Of a part of a body the head goes
// first and promises nothing: each whole chunk is stored under its name, and a piece of the chunks at both
// ends. A fill that breaks off leaves such an incomplete object too, where a strong validator and ranges let
// a later one go on. Callable from any thread.
//
// The window keeps what somebody still needs and cannot get elsewhere: the incomplete chunk, and up to
// kWindow bytes behind the producer for followers that are close. A follower that falls out of it reads
// the rest from the store. The producer is asked to pause only when
//   pages    the page budget is used up,
//   reader   the one reader of a body that is not kept is kUnkeptWindow behind,
//   disk     staging is backlogged while every follower has kInHand bytes to read, or
//   laggard  a follower would lose bytes that are stored nowhere and cannot be had by a range request.
#pragma once

#include <deque>
#include <list>
#include <string>
#include <vector>

#include "base/sync.h"
#include "engine/memory-record.h"
#include "engine/purges.h"

namespace millrace {

class Store;

// Where a key belongs.
struct KeyPlace {
  uint32_t volume = 0;  // 0 where there is none
  KeyHash hash{};
};

enum class FillState : uint8_t { waiting, running, complete, failed };
enum class FillPause : uint8_t { none, pages, reader, disk, laggard };
enum class FollowerPoll : uint8_t { data, wait, end, failed, behind };

// What one response head means for its fill.
struct FillHead {
  std::string key;                        // primary, or the variant's
  std::vector<uint8_t> head;              // encoded (layout/head)
  uint64_t body_length = kUnknownLength;  // when the framing tells it
  bool keep = false;                      // false: one reader, nothing stored
  bool may_compress = false;              // the body is neither coded nor of a kind that never shrinks
  // A part of a body whose length is known: bytes [part_begin, part_end). The head has kHeadIncomplete then.
  ByteOffset part_begin = 0;
  ByteOffset part_end = 0;
  // The incomplete object that the part completes; null: it is the first of a new version.
  Ref<MemoryRecord> known{};

  bool is_part() const { return part_begin < part_end; }
};

class Fill : public RefCounted<Fill> {
 public:
  static constexpr ByteCount kWindow = 4 * kChunkSize;
  static constexpr ByteCount kTightWindow = kChunkSize;   // while pages are scarce
  static constexpr ByteCount kUnkeptWindow = kChunkSize;
  static constexpr ByteCount kInHand = 4 * kPageSize;
  static constexpr ByteCount kMaximumKeyAndHead = kPageSize / 8 * 5;

  struct Follower {
    ByteOffset cursor = 0;
    Notice notice;
    bool waiting = false;
  };

  Fill(Ref<Store> store, std::string primary_key, Sequence birth, Notice producer);
  ~Fill();

  // waiting -> running. invalid: the head does not decode, or the state is wrong.
  Status begin(FillHead head);

  struct Appended {
    ByteCount accepted = 0;
    FillPause pause = FillPause::none;  // the producer's notice is posted when it may go on
  };
  // What lies behind the end that the head tells is dropped.
  Appended append(Bytes all);
  // running -> complete. invalid when fewer or more bytes came than the body or the part has.
  Status finish();
  // waiting or running -> failed.
  void fail();
  // After finish(), or for a 304 that never begins: `head` of a Vary marker under the primary key, which from
  // now on leads to its variants of births from `floor` on; 0: from this fill's. not_found after a purge.
  Status publish_marker(Bytes head, Sequence floor);

  Follower* follow(ByteOffset offset, Notice notice);
  void unfollow(Follower* follower);
  // data: appends spans of at most maximum bytes and moves the cursor. wait: the notice will be posted.
  FollowerPoll poll(Follower* follower, ByteCount maximum, std::vector<PageSpan>* spans);
  void skip_to(Follower* follower, ByteOffset offset);
  ByteOffset cursor(const Follower* follower);
  // The grace of a paused producer is over: followers that hold it back fall behind.
  void drop_laggards();

  // Called by the store: staging has room again; the key was purged.
  void relieve();
  void purge();

  FillState state();
  // Why the producer should pause right now; none once it may go on.
  FillPause pause_reason();
  ByteOffset produced();  // end of what came, counted from the body's begin
  uint64_t body_length();
  uint32_t follower_count();
  // Identity of the version that is being stored; valid after begin().
  KeyHash hash() const { return hash_; }
  uint64_t incarnation() const { return incarnation_; }
  const KeyHash& primary_hash() const { return primary_.hash; }
  uint32_t volume() const { return primary_.volume; }
  Sequence birth() const { return birth_; }
  // True from the moment on that a purge, hard or soft, concerns what it fetches: nobody may join it, and
  // nobody may send a head that came from it.
  bool is_purged();

 private:
  RecordHeader header_of(RecordKind kind) const;
  PurgeVerdict verdict_locked() const;
  void hand_over_locked(ByteOffset end);
  Ref<MemoryRecord> head_record_locked(Bytes head);
  void publish_head_locked();
  void publish_single_locked();
  void drop_older_locked(const MemoryRecord& record);
  bool offer_locked(const Ref<MemoryRecord>& record);
  Ref<MemoryRecord> chunk_record_locked(uint32_t chunk, ByteCount length);
  // fill-parts.cc
  Ref<MemoryRecord> piece_record_locked(ByteOffset from, ByteOffset end);
  std::vector<uint8_t> head_with_locked(bool is_incomplete) const;
  void publish_incomplete_locked();
  bool keep_what_came_locked();
  void complete(const Ref<MemoryRecord>& known);
  void admit_for_laggards_locked();
  void trim_locked();
  Bytes within_end(Bytes bytes);
  FillPause pause_reason_locked();
  void resume_locked();
  void wake_locked();
  ByteOffset hold_for_laggards_locked(ByteOffset target);
  ByteCount window_locked() const;

  const Ref<Store> store_;
  const std::string primary_key_;
  const KeyPlace primary_;
  const Sequence birth_;
  const Notice producer_;

  Mutex mutex_;
  FillState state_ = FillState::waiting;
  FillHead head_;
  KeyHash hash_{};
  uint64_t incarnation_ = 0;
  bool has_strong_validator_ = false;
  bool may_resume_ = false;       // a later request can ask for the rest of this version
  uint64_t expires_ms_ = 0;       // from when on nobody can use the object in any way; 0: unknown
  bool purged_ = false;
  bool overrun_ = false;          // more came than the head tells
  bool laggards_dropped_ = false;
  bool to_disk_ = false;          // admitted, and every part so far was taken
  uint32_t lost_chunks_ = 0;      // parts that the disk tier did not get: the object is not whole there
  bool paused_ = false;
  ByteCount produced_ = 0;
  ByteOffset window_begin_ = 0;   // multiple of kPageSize
  std::deque<PageRef> pages_;     // from window_begin_ on
  ByteOffset handed_end_ = 0;     // chunks below were handed over
  std::deque<bool> lost_;         // by chunk, from window_begin_'s chunk on: kept nowhere
  std::list<Follower> followers_;
};

}  // namespace millrace
