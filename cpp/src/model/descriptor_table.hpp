/// Descriptors from the dict that Python's `to_dict` writes.
#pragma once

#include <memory>

#include "mercer/descriptors/descriptor.hpp"
#include "model/fields.hpp"

namespace mercer {

/// The table of descriptors: a new one is one line in descriptor_table.cpp, with its type and how it is made.
/// @throws std::invalid_argument for an unknown type (listing the known ones), unknown, missing or bad parameters, another
///         number of features than `n_features` (before anything large is made), and rows that jump when an atom crosses
///         the cutoff, of which no potential can be made.
std::unique_ptr<Descriptor> make_descriptor(const Fields& fields, index_t n_features);

}  // namespace mercer
