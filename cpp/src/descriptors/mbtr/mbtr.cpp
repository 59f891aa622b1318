#include "mercer/descriptors/mbtr.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "consumers.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/parallel.hpp"
#include "setup.hpp"
#include "tuples.hpp"

namespace mercer {

using mbtr::Channels;
using mbtr::Deposit;
using mbtr::Elements;
using mbtr::FrameView;
using mbtr::Legs;
using mbtr::Lines;
using mbtr::padding;
using mbtr::Part;
using mbtr::TupleBatch;

namespace {

constexpr double pi = 3.14159265358979323846;
/// Tuples of one task, roughly. Frames with more are cut into pieces of their own, whatever the number of threads.
constexpr double tuples_per_task = 1 << 14;
constexpr index_t most_tasks = 64;
/// Columns of the rows of all pieces of one frame.
constexpr index_t most_columns = 1 << 22;

/// What the loops need to know of one frame.
struct Frame {
  std::vector<double> counts;  ///< atoms of each element
  Legs legs;

  void count(const StructureBatch& structures, const std::vector<std::int32_t>& element_of, index_t frame,
             int n_elements) {
    counts.assign(n_elements, 0.0);
    for (index_t i = structures.offsets[frame]; i < structures.offsets[frame + 1]; ++i) {
      if (element_of[i] >= 0) ++counts[element_of[i]];
    }
  }
  bool has(const Elements& z, int order) const {
    return std::all_of(z.begin(), z.begin() + order, [&](int element) { return counts[element] > 0; });
  }
};

}  // namespace

/// Atoms begin .. end - 1 of a frame as origins of tuples; `piece` is -1 where these are all.
struct Mbtr::Task {
  index_t frame, begin, end, piece;
};

struct Mbtr::Workspace {
  TupleBatch batch;
  Lines lines;
  Frame frame;
  std::vector<double> padded, raw, row, gradients;

  explicit Workspace(const Mbtr& mbtr) : lines(mbtr.parts_), raw(mbtr.n_raw_) {
    index_t n = 0;
    for (const auto& part : mbtr.parts_) n = std::max(n, part->n());
    padded.resize(n + 2 * padding);
  }
};

MbtrNormalization mbtr_normalization(const std::string& name) {
  if (name == "none") return MbtrNormalization::none;
  if (name == "l2") return MbtrNormalization::l2;
  if (name == "n_atoms") return MbtrNormalization::n_atoms;
  MERCER_REQUIRE(name == "valle_oganov", "normalization='", name, "': expected none, l2, n_atoms or valle_oganov");
  return MbtrNormalization::valle_oganov;
}

Mbtr::Mbtr(MbtrParameters parameters)
    : parameters_(std::move(parameters)),
      normalization_(mbtr_normalization(parameters_.normalization)),
      element_of_(mbtr::element_table(parameters_.species)) {
  mbtr::check(parameters_);
  const auto n_elements = static_cast<int>(parameters_.species.size());
  raw_offsets_ = offsets_ = {0};
  for (const MbtrPart& p : parameters_.parts) {
    parts_.push_back(std::make_unique<Part>(p));
    channels_.push_back(std::make_unique<Channels>(std::vector<mbtr::ChannelBlock>{{p.order, true}}, n_elements,
                                                   parameters_.correlation));
    raw_offsets_.push_back(raw_offsets_.back() + channels_.back()->n_raw() * p.n);
    offsets_.push_back(offsets_.back() + channels_.back()->n_out() * p.n);
    MERCER_REQUIRE(normalization_ != MbtrNormalization::valle_oganov || (p.order < 4 && parameters_.correlation.empty()),
                   "normalization='valle_oganov': there is none for k = 4, nor for a correlation of elements");
    if (p.order > 1) cutoff_ = std::max(cutoff_, mbtr::list_cutoff(parts_.back()->weight().leg_reach()));
    if (parts_.back()->broadening().jumps()) not_differentiable_ = mbtr::why_it_jumps(p);
  }
  n_raw_ = raw_offsets_.back();
  n_features_ = offsets_.back();
}

Mbtr::~Mbtr() = default;

void Mbtr::require_gradients() const {
  MERCER_REQUIRE(not_differentiable_.empty(), "MBTR: ", not_differentiable_);
}

void Mbtr::check(const StructureBatch& structures, const PairList& pairs) const {
  mbtr::check_input("MBTR", structures, pairs, cutoff_, element_of_, parameters_.ignore_unknown);
  if (normalization_ != MbtrNormalization::valle_oganov) return;
  for (index_t f = 0; f < structures.n_frames(); ++f) {
    const bool empty = structures.offsets[f] == structures.offsets[f + 1];
    MERCER_REQUIRE(empty || mbtr::volume(structures.cells[f]) > 0, "frame ", f, ": has no volume, which "
                   "normalization='valle_oganov' needs; choose another normalization");
  }
}

/// Frames with many tuples are cut; all frames are compared with the limit.
std::vector<Mbtr::Task> Mbtr::tasks(const StructureBatch& structures, const PairList& pairs) const {
  std::vector<Task> out;
  const auto elements = mbtr::elements_of_atoms(structures, element_of_);
  const auto n_elements = static_cast<int>(parameters_.species.size());
  for (index_t f = 0; f < structures.n_frames(); ++f) {
    const index_t begin = structures.offsets[f], end = structures.offsets[f + 1];
    double most = 0;  // at most so many tuples
    for (index_t i = begin; i < end; ++i) {
      const auto n = static_cast<double>(pairs.offsets[i + 1] - pairs.offsets[i]);
      for (const auto& part : parts_) {
        const int k = part->order();
        most += k == 1 ? 1 : k == 2 ? 0.5 * n : k == 3 ? 0.5 * n * n : 0.5 * n * n * n;
      }
    }
    if (most > tuples_per_task || most > parameters_.max_tuples) {
      most = 0;
      Frame frame;
      frame.count(structures, elements, f, n_elements);
      for (const auto& part : parts_) {
        frame.legs.build(pairs, elements, n_elements, begin, end, part->weight().leg_reach());
        const FrameView view{structures, pairs, elements, begin, frame.legs, frame.counts};
        const double n = mbtr::count_tuples(view, part->order(), begin, end);
        mbtr::require_tuples(f, part->order(), n, parameters_.max_tuples);
        most += n;
      }
    }
    const index_t room = std::max<index_t>(2, std::min(most_tasks, most_columns / std::max<index_t>(1, n_raw_)));
    const auto wanted = static_cast<index_t>(std::min(static_cast<double>(room), most / tuples_per_task));
    const index_t n_pieces = std::max<index_t>(1, std::min(wanted, end - begin));
    for (index_t p = 0; p < n_pieces; ++p) {
      out.push_back({f, begin + p * (end - begin) / n_pieces, begin + (p + 1) * (end - begin) / n_pieces,
                     n_pieces == 1 ? -1 : p});
    }
  }
  return out;
}

std::vector<index_t> Mbtr::count_pieces(const StructureBatch& structures, const std::vector<Task>& work) const {
  std::vector<index_t> first(structures.n_frames() + 1, 0);
  for (const Task& task : work) first[task.frame + 1] += task.piece >= 0 ? 1 : 0;
  for (std::size_t f = 1; f < first.size(); ++f) first[f] += first[f - 1];
  return first;
}

/// The legs that tuples with origins begin .. end - 1 need.
void Mbtr::build_legs(const Part& part, const PairList& pairs, const std::vector<std::int32_t>& elements, index_t first,
                      index_t last, index_t begin, index_t end, Legs& legs) const {
  if (part.order() == 1) return;
  const bool all = part.order() == 4;  // of both inner atoms
  legs.build(pairs, elements, static_cast<int>(parameters_.species.size()), all ? first : begin, all ? last : end,
             part.weight().leg_reach());
}

/// The factors of columns of a row, for normalizations that are linear; empty for 1.
void Mbtr::scales(const StructureBatch& structures, index_t f, std::vector<double>& out) const {
  out.clear();
  const index_t n_atoms = structures.offsets[f + 1] - structures.offsets[f];
  if (normalization_ == MbtrNormalization::n_atoms) {
    out.assign(n_features_, 1.0 / static_cast<double>(std::max<index_t>(1, n_atoms)));
  } else if (normalization_ == MbtrNormalization::valle_oganov) {
    // Valle and Oganov, Acta Cryst. A 66, 507 (2010)
    Frame frame;
    frame.count(structures, mbtr::elements_of_atoms(structures, element_of_), f,
                static_cast<int>(parameters_.species.size()));
    const double volume = mbtr::volume(structures.cells[f]);
    for (std::size_t p = 0; p < parts_.size(); ++p) {
      for (const auto& channel : channels_[p]->raw()) {
        const Elements& z = channel.z;
        double factor = 1;
        if (parts_[p]->order() == 2) factor = volume * (z[0] == z[1] ? 2 : 1) / (4 * pi);
        if (parts_[p]->order() == 3) factor = volume;
        for (int t = 0; t < parts_[p]->order() && parts_[p]->order() > 1; ++t) {
          factor /= std::max(1.0, frame.counts[z[t]]);
        }
        out.insert(out.end(), parts_[p]->n(), factor);
      }
    }
  }
}

/// Correlation and normalization; the norm where rows are divided by it.
double Mbtr::finish(const StructureBatch& structures, index_t f, const double* raw, double* row) const {
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (raw + raw_offsets_[p] != row + offsets_[p]) {
      channels_[p]->forward(raw + raw_offsets_[p], parts_[p]->n(), row + offsets_[p]);
    }
  }
  if (normalization_ == MbtrNormalization::none) return 1;
  if (normalization_ == MbtrNormalization::l2) {
    const double norm = std::sqrt(simd::dot(row, row, n_features_));
    for (index_t c = 0; norm > 0 && c < n_features_; ++c) row[c] /= norm;
    return norm;
  }
  std::vector<double> factors;
  scales(structures, f, factors);
  for (index_t c = 0; c < n_features_; ++c) row[c] *= factors[c];
  return 1;
}

namespace {

/// Calls body(part, channel, first column) for the channels of a frame that occur; `absent(column, n)` for the others.
template <class Body, class Absent>
void for_each_channel(const std::vector<std::unique_ptr<Part>>& parts,
                      const std::vector<std::unique_ptr<Channels>>& channels, const Frame& frame, std::size_t p,
                      index_t offset, const Body& body, const Absent& absent) {
  const Part& part = *parts[p];
  for (const auto& channel : channels[p]->raw()) {
    const Elements& z = channel.z;
    if (frame.has(z, part.order())) {
      body(part, z, offset);
    } else {
      absent(offset, part.n());
    }
    offset += part.n();
  }
}

}  // namespace

void Mbtr::transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const {
  compute(structures, pairs, out, {}, {}, {}, nullptr);
}

void Mbtr::transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out, Span<double> total,
                     Span<double> outside) const {
  compute(structures, pairs, out, total, outside, {}, nullptr);
}

/// Rows into `out`, or where it is not null the channels that occur of every frame into `sparse`.
void Mbtr::compute(const StructureBatch& structures, const PairList& pairs, MatView<double> out, Span<double> total,
                   Span<double> outside, Span<double> norms, std::vector<SparseRow>* sparse) const {
  check(structures, pairs);
  MERCER_REQUIRE(sparse || (out.rows == structures.n_frames() && out.cols == n_features_), "MBTR: out has shape (", out.rows, ", ",
                 out.cols, "), expected (", structures.n_frames(), ", ", n_features_, ")");
  const auto work = tasks(structures, pairs);
  const auto elements = mbtr::elements_of_atoms(structures, element_of_);
  const auto n_elements = static_cast<int>(parameters_.species.size());
  const auto n_parts = static_cast<index_t>(parts_.size());
  const bool direct =
      !sparse && std::none_of(channels_.begin(), channels_.end(), [](const auto& c) { return c->mixes(); });
  const auto first_piece = count_pieces(structures, work);
  const index_t n_pieces = first_piece.back();
  Buffer<double> pieces(n_pieces * n_raw_), weights(2 * n_parts * static_cast<index_t>(work.size()));

  const auto end = [&](Workspace& w, index_t f, const double* raw) {
    if (sparse) w.row.resize(n_features_);
    double* row = sparse ? w.row.data() : out.row(f);
    const double norm = finish(structures, f, raw, row);
    if (!norms.empty()) norms[f] = norm;
    if (sparse) pick_channels(structures, elements, f, row, (*sparse)[f]);
  };

  parallel_for(static_cast<index_t>(work.size()), [&] { return Workspace(*this); }, [&](Workspace& w, index_t k) {
    const Task& task = work[k];
    const index_t first = structures.offsets[task.frame], last = structures.offsets[task.frame + 1];
    double* target = task.piece >= 0 ? pieces.data() + (first_piece[task.frame] + task.piece) * n_raw_
                     : direct        ? out.row(task.frame)
                                     : w.raw.data();
    w.frame.count(structures, elements, task.frame, n_elements);
    for (index_t p = 0; p < n_parts; ++p) {
      const Part& part = *parts_[p];
      build_legs(part, pairs, elements, first, last, task.begin, task.end, w.frame.legs);
      const FrameView view{structures, pairs, elements, first, w.frame.legs, w.frame.counts};
      Deposit deposit;
      for_each_channel(
          parts_, channels_, w.frame, p, raw_offsets_[p],
          [&](const Part&, const Elements& z, index_t column) {
            std::fill_n(w.padded.data(), part.n() + 2 * padding, 0.0);
            for_each_tuple(view, part.order(), z, task.begin, task.end, w.batch,
                           [&](TupleBatch& batch) { deposit(part, batch, w.lines, w.padded.data()); });
            std::copy_n(w.padded.data() + padding, part.n(), target + column);
          },
          [&](index_t column, index_t n) { std::fill_n(target + column, n, 0.0); });
      weights[2 * (k * n_parts + p)] = deposit.total;
      weights[2 * (k * n_parts + p) + 1] = deposit.outside;
    }
    if (task.piece < 0) end(w, task.frame, target);
  });
  if (n_pieces > 0) {
    parallel_for(structures.n_frames(), [&] { return Workspace(*this); }, [&](Workspace& w, index_t f) {
      if (first_piece[f] == first_piece[f + 1]) return;
      double* sum = pieces.data() + first_piece[f] * n_raw_;
      for (index_t p = first_piece[f] + 1; p < first_piece[f + 1]; ++p) {
        const double* piece = pieces.data() + p * n_raw_;
        for (index_t c = 0; c < n_raw_; ++c) sum[c] += piece[c];
      }
      end(w, f, sum);
    });
  }
  for (index_t p = 0; p < n_parts; ++p) {
    double sum = 0, beside = 0;
    for (std::size_t k = 0; k < work.size(); ++k) {
      sum += weights[2 * (static_cast<index_t>(k) * n_parts + p)];
      beside += weights[2 * (static_cast<index_t>(k) * n_parts + p) + 1];
    }
    if (!total.empty()) total[p] = sum;
    if (!outside.empty()) outside[p] = beside;
  }
}

void Mbtr::vjp(const StructureBatch& structures, const PairList& pairs, MatView<const double> dY_dX,
               MatView<double> dY_dpositions, MatView<double> dY_dstrain) const {
  require_gradients();
  check(structures, pairs);
  const index_t n_frames = structures.n_frames();
  MERCER_REQUIRE(dY_dX.rows == n_frames && dY_dX.cols == n_features_, "MBTR: dY_dX has shape (", dY_dX.rows, ", ",
                 dY_dX.cols, "), expected (", n_frames, ", ", n_features_, ")");
  const auto work = tasks(structures, pairs);
  const auto elements = mbtr::elements_of_atoms(structures, element_of_);
  const auto n_elements = static_cast<int>(parameters_.species.size());
  const auto n_parts = static_cast<index_t>(parts_.size());

  const bool rows_matter = normalization_ == MbtrNormalization::l2 || normalization_ == MbtrNormalization::valle_oganov;
  Buffer<double> rows(rows_matter ? n_frames * n_features_ : 0), norms(rows_matter ? n_frames : 0);
  if (rows_matter) compute(structures, pairs, {rows.data(), n_frames, n_features_}, {}, {}, norms.span(), nullptr);
  // By rows before correlation and normalization; where there are neither, dY_dX itself.
  const bool direct = normalization_ == MbtrNormalization::none &&
                      std::none_of(channels_.begin(), channels_.end(), [](const auto& c) { return c->mixes(); });
  Buffer<double> dY_draw(direct ? 0 : n_frames * n_raw_);
  parallel_for(n_frames, [&] { return std::vector<double>(n_features_); }, [&](std::vector<double>& dY, index_t f) {
    std::fill_n(dY_dstrain.row(f), 9, 0.0);
    if (direct) return;
    std::copy_n(dY_dX.row(f), n_features_, dY.data());
    const double* row = rows.data() + f * n_features_;
    double pressure = 0;  // the volume in a normalization moves with strain
    if (normalization_ == MbtrNormalization::l2) {
      const double along = simd::dot(row, dY.data(), n_features_), inverse = norms[f] > 0 ? 1 / norms[f] : 0;
      for (index_t c = 0; c < n_features_; ++c) dY[c] = (dY[c] - along * row[c]) * inverse;
    } else if (normalization_ != MbtrNormalization::none) {
      std::vector<double> factors;
      scales(structures, f, factors);
      for (index_t p = 0; p < n_parts; ++p) {
        if (normalization_ != MbtrNormalization::valle_oganov || parts_[p]->order() == 1) continue;
        for (index_t c = offsets_[p]; c < offsets_[p + 1]; ++c) pressure += dY[c] * row[c];
      }
      for (index_t c = 0; c < n_features_; ++c) dY[c] *= factors[c];
    }
    for (int a = 0; a < 3; ++a) dY_dstrain(f, 4 * a) = pressure;
    for (index_t p = 0; p < n_parts; ++p) {
      channels_[p]->backward(dY.data() + offsets_[p], parts_[p]->n(), dY_draw.data() + f * n_raw_ + raw_offsets_[p]);
    }
  });

  // Each task has the gradients of the atoms of its frame and the strain, one after another.
  std::vector<index_t> place{0};
  for (const Task& task : work) {
    const index_t n = structures.offsets[task.frame + 1] - structures.offsets[task.frame];
    place.push_back(place.back() + (task.piece >= 0 ? 3 * n + 9 : 0));
  }
  Buffer<double> pieces(place.back());
  const auto add_to_frame = [&](index_t f, const double* gradients) {
    const index_t begin = structures.offsets[f], n = structures.offsets[f + 1] - begin;
    for (index_t i = 0; i < n; ++i) {
      for (int a = 0; a < 3; ++a) dY_dpositions(begin + i, a) += gradients[3 * i + a];
    }
    for (int c = 0; c < 9; ++c) dY_dstrain(f, c) += gradients[3 * n + c];
  };
  for (index_t i = 0; i < structures.n_atoms(); ++i) std::fill_n(dY_dpositions.row(i), 3, 0.0);
  parallel_for(static_cast<index_t>(work.size()), [&] { return Workspace(*this); }, [&](Workspace& w, index_t k) {
    const Task& task = work[k];
    const index_t first = structures.offsets[task.frame], last = structures.offsets[task.frame + 1];
    w.gradients.assign(3 * (last - first) + 9, 0.0);
    w.frame.count(structures, elements, task.frame, n_elements);
    for (index_t p = 0; p < n_parts; ++p) {
      const Part& part = *parts_[p];
      if (part.order() == 1) continue;
      build_legs(part, pairs, elements, first, last, task.begin, task.end, w.frame.legs);
      const FrameView view{structures, pairs, elements, first, w.frame.legs, w.frame.counts};
      for_each_channel(
          parts_, channels_, w.frame, p, raw_offsets_[p],
          [&](const Part&, const Elements& z, index_t column) {
            const double* dY = (direct ? dY_dX.row(task.frame) : dY_draw.data() + task.frame * n_raw_) + column;
            if (std::all_of(dY, dY + part.n(), [](double x) { return x == 0; })) return;
            std::fill_n(w.padded.data(), part.n() + 2 * padding, 0.0);
            std::copy_n(dY, part.n(), w.padded.data() + padding);
            for_each_tuple(view, part.order(), z, task.begin, task.end, w.batch, [&](TupleBatch& batch) {
              mbtr::reverse(part, batch, w.lines, w.padded.data(), w.gradients.data(),
                            w.gradients.data() + 3 * (last - first));
            });
          },
          [](index_t, index_t) {});
    }
    if (task.piece < 0) {
      add_to_frame(task.frame, w.gradients.data());
    } else {
      std::copy(w.gradients.begin(), w.gradients.end(), pieces.data() + place[k]);
    }
  });
  for (std::size_t k = 0; k < work.size(); ++k) {
    if (work[k].piece >= 0) add_to_frame(work[k].frame, pieces.data() + place[k]);
  }
}

void Mbtr::gradients(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const {
  require_gradients();
  check(structures, pairs);
  const index_t n_frames = structures.n_frames(), n_lines = 3 * structures.n_atoms();
  MERCER_REQUIRE(out.rows == n_lines && out.cols == n_features_, "MBTR: out has shape (", out.rows, ", ", out.cols,
                 "), expected (", n_lines, ", ", n_features_, ")");
  tasks(structures, pairs);  // compares the number of tuples with the limit
  const auto elements = mbtr::elements_of_atoms(structures, element_of_);
  const auto n_elements = static_cast<int>(parameters_.species.size());
  const auto n_parts = static_cast<index_t>(parts_.size());
  const bool direct = std::none_of(channels_.begin(), channels_.end(), [](const auto& c) { return c->mixes(); });
  Buffer<double> raw_lines(direct ? 0 : n_lines * n_raw_);
  const MatView<double> raw = direct ? out : MatView<double>(raw_lines.data(), n_lines, n_raw_);

  // One piece of work is a channel of a frame.
  std::vector<Frame> frames(n_frames * n_parts);
  parallel_for(n_frames * n_parts, [&](index_t k) {
    const index_t f = k / n_parts, first = structures.offsets[f], last = structures.offsets[f + 1];
    frames[k].count(structures, elements, f, n_elements);
    build_legs(*parts_[k % n_parts], pairs, elements, first, last, first, last, frames[k].legs);
  });
  index_t per_frame = 0;
  std::vector<std::pair<index_t, index_t>> channel;  // part, channel
  for (index_t p = 0; p < n_parts; ++p) {
    for (std::size_t c = 0; c < channels_[p]->raw().size(); ++c, ++per_frame) channel.emplace_back(p, c);
  }
  parallel_for(n_frames * per_frame, [&] { return Workspace(*this); }, [&](Workspace& w, index_t k) {
    const index_t f = k / per_frame, first = structures.offsets[f], last = structures.offsets[f + 1];
    const auto [p, c] = channel[k % per_frame];
    const Part& part = *parts_[p];
    const Frame& frame = frames[f * n_parts + p];
    const Elements& z = channels_[p]->raw()[c].z;
    const index_t n = part.n(), column = raw_offsets_[p] + c * n, stride = n + 2 * padding;
    if (part.order() == 1 || !frame.has(z, part.order())) {
      for (index_t line = 3 * first; line < 3 * last; ++line) std::fill_n(raw.row(line) + column, n, 0.0);
      return;
    }
    w.padded.assign(3 * (last - first) * stride, 0.0);
    const FrameView view{structures, pairs, elements, first, frame.legs, frame.counts};
    for_each_tuple(view, part.order(), z, first, last, w.batch,
                   [&](TupleBatch& batch) { mbtr::differentiate(part, batch, w.lines, w.padded.data(), stride); });
    for (index_t line = 0; line < 3 * (last - first); ++line) {
      std::copy_n(w.padded.data() + line * stride + padding, n, raw.row(3 * first + line) + column);
    }
  });

  const bool l2 = normalization_ == MbtrNormalization::l2;
  if (direct && normalization_ == MbtrNormalization::none) return;
  Buffer<double> rows(l2 ? n_frames * n_features_ : 0), norms(l2 ? n_frames : 0);
  if (l2) compute(structures, pairs, {rows.data(), n_frames, n_features_}, {}, {}, norms.span(), nullptr);
  parallel_for(n_frames, [&] { return std::vector<double>(); }, [&](std::vector<double>& factors, index_t f) {
    scales(structures, f, factors);
    for (index_t line = 3 * structures.offsets[f]; line < 3 * structures.offsets[f + 1]; ++line) {
      double* to = out.row(line);
      for (index_t p = 0; !direct && p < n_parts; ++p) {
        channels_[p]->forward(raw.row(line) + raw_offsets_[p], parts_[p]->n(), to + offsets_[p]);
      }
      if (l2) {
        const double* row = rows.data() + f * n_features_;
        const double along = simd::dot(row, to, n_features_), inverse = norms[f] > 0 ? 1 / norms[f] : 0;
        for (index_t c = 0; c < n_features_; ++c) to[c] = (to[c] - along * row[c]) * inverse;
      } else if (!factors.empty()) {
        for (index_t c = 0; c < n_features_; ++c) to[c] *= factors[c];
      }
    }
  });
}

Mbtr::SparseRows Mbtr::transform_channels(const StructureBatch& structures, const PairList& pairs, Span<double> total,
                                          Span<double> outside) const {
  for (const auto& channels : channels_) {
    MERCER_REQUIRE(!channels->mixes(), "MBTR: channels that do not occur are not zero where a correlation mixes the "
                                       "elements; use transform");
  }
  const index_t n_frames = structures.n_frames();
  std::vector<SparseRow> rows(n_frames);
  compute(structures, pairs, {}, total, outside, {}, &rows);
  SparseRows out;
  for (index_t f = 0; f < n_frames; ++f) {
    out.channels.insert(out.channels.end(), rows[f].channels.begin(), rows[f].channels.end());
    out.frame_offsets.push_back(static_cast<index_t>(out.channels.size()));
    out.value_offsets.push_back(out.value_offsets.back() + static_cast<index_t>(rows[f].values.size()));
  }
  out.values = Buffer<double>(out.value_offsets.back());
  parallel_for(n_frames, [&](index_t f) {
    std::copy(rows[f].values.begin(), rows[f].values.end(), out.values.data() + out.value_offsets[f]);
    std::vector<double>().swap(rows[f].values);
  });
  return out;
}

/// The channels all of whose elements are in the frame.
void Mbtr::pick_channels(const StructureBatch& structures, const std::vector<std::int32_t>& elements, index_t f,
                         const double* row, SparseRow& out) const {
  Frame frame;
  frame.count(structures, elements, f, static_cast<int>(parameters_.species.size()));
  // First how many, then the values, so that no vector grows.
  index_t first_channel = 0, n_values = 0;
  std::vector<const double*> found;
  std::vector<index_t> sizes;
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    const auto& raw = channels_[p]->raw();
    const index_t n = parts_[p]->n();
    for (std::size_t c = 0; c < raw.size(); ++c) {
      const double* channel = row + offsets_[p] + static_cast<index_t>(c) * n;
      if (!frame.has(raw[c].z, parts_[p]->order())) continue;
      if (std::all_of(channel, channel + n, [](double x) { return x == 0; })) continue;
      out.channels.push_back(first_channel + static_cast<index_t>(c));
      found.push_back(channel);
      sizes.push_back(n);
      n_values += n;
    }
    first_channel += static_cast<index_t>(raw.size());
  }
  out.values.reserve(n_values);
  for (std::size_t k = 0; k < found.size(); ++k) {
    out.values.insert(out.values.end(), found[k], found[k] + sizes[k]);
  }
}

}  // namespace mercer
