/// One tensor: its functions made ready.
#pragma once

#include <cmath>

#include "broadening.hpp"
#include "geometry.hpp"
#include "weights.hpp"

namespace mercer::mbtr {

class Part {
 public:
  explicit Part(const MbtrPart& parameters)
      : parameters_(parameters),
        geometry_(find_geometry(parameters.geometry, parameters.order)),
        weight_(parameters.order, parameters.weights, parameters.threshold),
        broadening_(parameters) {}

  int order() const { return parameters_.order; }
  index_t n() const { return parameters_.n; }
  const MbtrPart& parameters() const { return parameters_; }
  const Weight& weight() const { return weight_; }
  const Broadening& broadening() const { return broadening_; }

  /// Writes g and w of every tuple, and if asked for their derivatives.
  void measure(TupleBatch& batch, bool derivatives) const {
    weight_.evaluate(batch, derivatives);
    geometry_.evaluate(batch, derivatives);
  }

  /// Calls body(g) for g of tuple t, or for its images along a periodic axis that reach the grid.
  template <class Body>
  void for_each_image(double g, const Body& body) const {
    if (geometry_.period == 0) {
      body(g);
      return;
    }
    int first, last;
    broadening_.images(g, geometry_.period, first, last);
    for (int p = first; p <= last; ++p) body(g + p * geometry_.period);
  }

  /// Whether g, or one of its images, is on the grid.
  bool inside(double g) const {
    bool found = false;
    for_each_image(g, [&](double image) { found = found || broadening_.inside(image); });
    return found;
  }

 private:
  MbtrPart parameters_;
  const Geometry& geometry_;
  Weight weight_;
  Broadening broadening_;
};

}  // namespace mercer::mbtr
