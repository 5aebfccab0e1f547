"""The package of the original application, as far as other programs import it: `rife_app.run_interpolation`."""
