// One lookup (discv5-theory, "lookup"): walks towards a target by asking the nearest nodes known for nodes nearer
// still. Three questions at a time, 48 in all; it ends when the 16 nearest candidates were asked. Pure.
#pragma once
#include <optional>
#include <vector>

#include "libs/discv5/contact.hpp"
#include "libs/discv5/table.hpp"

namespace towline::discv5 {

class Lookup {
 public:
  static constexpr std::size_t kAlpha = 3, kResult = Table::kBucketSize, kMaxCandidates = 64, kMaxAsked = 48;

  explicit Lookup(const NodeId& target) : target_{target} {}
  const NodeId& target() const { return target_; }
  bool has_candidates() const { return !nearest_first_.empty(); }

  void add(const Contact& c);
  /// The candidate to ask now; each is named once. nullopt: none, or not yet.
  std::optional<Contact> next();
  /// The lists of distances to ask a candidate for, one request each. `small_network`: the table holds so few nodes
  /// that a walk would meet hardly any, so each candidate is asked for nearly all that it can know.
  std::vector<std::vector<std::uint64_t>> questions(const NodeId& node, bool small_network) const;
  void on_asked();
  void on_end(const NodeId& node, bool answered);
  /// No question waits for an answer.
  bool idle() const { return in_flight_ == 0; }

 private:
  struct Candidate {
    Contact contact;
    bool asked = false;
  };
  const NodeId target_;
  std::vector<Candidate> nearest_first_{};
  std::size_t in_flight_ = 0, asked_ = 0;
};

}  // namespace towline::discv5
