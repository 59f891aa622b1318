/// Geometry functions g_k: the number that a tuple of k atoms puts on the axis of the tensor.
#pragma once

#include <string>
#include <vector>

#include "batch.hpp"

namespace mercer::mbtr {

struct Geometry {
  const char* name;
  int order;      ///< k
  double period;  ///< of the axis; 0: not periodic
  /// Writes g of every tuple of the batch, and if asked for its derivatives; tuples without g lose their weight.
  void (*evaluate)(TupleBatch& batch, bool derivatives);
};

/// Huo and Rupp, Mach. Learn. Sci. Technol. 3, 045017 (2022), section 2.
const std::vector<Geometry>& geometries();

/// @throws std::invalid_argument where there is no such function of k atoms, naming those that there are.
const Geometry& find_geometry(const std::string& name, int order);

}  // namespace mercer::mbtr
