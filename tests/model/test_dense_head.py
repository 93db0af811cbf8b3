"""The dense head: maps at four times the token grid."""

import pytest
import torch

from napari_samv1.model.dense_head import MAPS, DenseHead, DenseHeadConfig

SMALL = DenseHeadConfig(channels=8, width=6, depth=2, fine_width=4, fine_depth=1)


@pytest.mark.parametrize("grid", [(1, 1), (3, 5), (8, 2)])
def test_maps_have_four_times_the_token_grid(grid):
    assert DenseHead(SMALL)(torch.rand(2, 8, *grid)).shape == (2, MAPS, 4 * grid[0], 4 * grid[1])


def test_images_of_a_batch_do_not_depend_on_one_another():
    torch.manual_seed(0)
    head, tokens = DenseHead(SMALL).eval(), torch.rand(3, 8, 5, 4)
    with torch.inference_mode():
        together = head(tokens)
        apart = torch.cat([head(one[None]) for one in tokens])
    torch.testing.assert_close(together, apart)


def test_a_map_sees_only_what_is_near():
    torch.manual_seed(0)
    head, tokens = DenseHead(SMALL).eval(), torch.rand(1, 8, 16, 16)
    other = tokens.clone()
    other[..., 15, 15] += 1
    with torch.inference_mode():
        differs = (head(tokens) - head(other)).abs().amax(1)[0] > 1e-6
    assert differs[-4:, -4:].any()
    assert not differs[:32, :32].any()
