/// Contraction of the power spectrum's Jacobian with many vectors by way of the density coefficients.
#pragma once

#include <memory>

#include "mercer/descriptors/soap.hpp"

namespace mercer {

/// First dY_q / dc of every vector q, then its product with the derivatives of the coefficients of one species: a cost
/// for every pair that does not grow with the number of species. Better than the Jacobian of the rows where
/// `prefers_coefficients`, by a count of multiplications.
std::unique_ptr<GradientContraction> make_coefficient_contraction(const Soap& soap, bool normalize,
                                                                  const StructureBatch& structures,
                                                                  const PairList& pairs, MatView<const double> Q);

bool prefers_coefficients(const Density& density, const StructureBatch& structures, const PairList& pairs);

}  // namespace mercer
